//! The one place that asks what time it is.

use jiff::Timestamp;

/// This moment.
pub fn now() -> Timestamp {
    Timestamp::now()
}
