//! Bytes that a program wrote, cut into lines of text.

/// The longest line, in bytes; one that is longer becomes several.
const MAX_LINE: usize = 16 << 10;

/// Collects bytes until a line ends. A carriage return ends one, too: programs write progress with it.
#[derive(Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
    /// Whether the last byte was a carriage return, so that a newline behind it ends nothing.
    returned: bool,
}

impl Lines {
    /// Takes bytes; `found` gets each line that is complete now, without its end.
    pub fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(String)) {
        for &byte in bytes {
            let returned = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if returned => {}
                b'\n' | b'\r' => self.end(&mut found),
                _ => {
                    self.held.push(byte);
                    if self.held.len() >= MAX_LINE {
                        self.cut(&mut found);
                    }
                }
            }
        }
    }

    /// Nothing comes any more.
    pub fn finish(&mut self, mut found: impl FnMut(String)) {
        if !self.held.is_empty() {
            self.end(&mut found);
        }
    }

    fn end(&mut self, found: &mut impl FnMut(String)) {
        found(String::from_utf8_lossy(&self.held).into_owned());
        self.held.clear();
    }

    /// Ends a line that is too long, before a character that is not complete.
    fn cut(&mut self, found: &mut impl FnMut(String)) {
        let complete = match std::str::from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
            _ => self.held.len(),
        };
        let rest = self.held.split_off(complete);
        self.end(found);
        self.held = rest;
    }
}
