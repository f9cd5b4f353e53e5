//! Who tells the readers what happens.

use super::mask::Mask;
use crate::event::{Event, Kind, Reader, RunId};
use crate::host::clock::Clock;

/// Numbers events, gives them their time, and masks secrets in them.
pub struct Teller<'a> {
    run: RunId,
    next: u64,
    clock: &'a dyn Clock,
    mask: &'a Mask,
    readers: &'a mut [Box<dyn Reader>],
}

impl<'a> Teller<'a> {
    /// Tells these readers of a run.
    pub fn new(run: RunId, clock: &'a dyn Clock, mask: &'a Mask, readers: &'a mut [Box<dyn Reader>]) -> Self {
        Self { run, next: 0, clock, mask, readers }
    }

    /// Tells what happened; what goes wrong with a reader happens, too.
    pub fn tell(&mut self, kind: Kind) {
        self.tell_all(kind);
        let troubles: Vec<String> = self.readers.iter_mut().filter_map(|reader| reader.trouble()).collect();
        for message in troubles {
            self.tell_all(Kind::Warning { layer: None, message });
        }
    }

    fn tell_all(&mut self, mut kind: Kind) {
        self.mask.event(&mut kind);
        let event = Event { run: self.run.clone(), seq: self.next, at: self.clock.now(), kind };
        self.next += 1;
        self.readers.iter_mut().for_each(|reader| reader.read(&event));
    }
}
