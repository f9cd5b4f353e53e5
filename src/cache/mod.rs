//! The layer caches of builds, in the registry of the images: whose they are, who may read and write them, and what is
//! kept of them.
//!
//! [`decide`] is the one rule; nothing reads or writes a cache without having asked it. Start reading there. `place`
//! says where a cache lies, `session` what a build of an actor reads and writes, `rollback` puts back what a bad build
//! has overwritten, `survey` looks at what there is, and `retention` says, without asking anybody, what of it may go.

mod place;
mod retention;
mod rollback;
mod rule;
mod session;
mod survey;

pub use place::{Namespace, PlaceError, Root, Slot, Workspace};
pub use retention::{Kept, Policy, Repository, Tagged, judge};
pub use rollback::{Before, PutBack, put_back, remember};
pub use rule::{Access, Grants, Refused, Why, decide};
pub use session::{CacheRefs, Disposition, Named, Session, Uses};
pub use survey::{Removed, Survey, find, read_all, remove};
