//! The domain: names, layers, edges, digests. No I/O.

mod path;

pub use path::{PathError, RelPath};
