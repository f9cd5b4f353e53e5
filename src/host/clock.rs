//! The one place that asks what time it is.

use jiff::Timestamp;

/// Who knows what time it is.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// This moment, on the machine's clock.
pub fn now() -> Timestamp {
    Timestamp::now()
}
