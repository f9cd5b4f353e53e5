//! A binary cache of single crates in any OCI registry: compiled units are published one by one, and a project's target
//! folder is filled with those that it needs.
//!
//! [`choose`] decides and [`pull`] acts; start reading there. `place` says where a unit lies in a target folder, `files`
//! what it consists of, `pack` and `unpack` make and read its archive, `artifact` is its form in a registry, under
//! a name from `refs`, and `target` puts it in its place so that cargo finds it fresh or not at all.

mod artifact;
mod choose;
mod export;
mod files;
mod folders;
mod pack;
mod place;
mod pull;
mod refs;
mod target;
mod unpack;

pub use artifact::{Artifact, Entry, Published, publish, read};
pub use choose::{Contents, Miss, Offer, Take, Verdict, Wanted, choose, rank};
pub use export::{Exported, export};
pub use files::{UnitError, unit_bytes, watched};
pub use folders::{area, folders};
pub use pack::{Packed, hidden, pack};
pub use place::{Place, PlaceError};
pub use pull::{Warmed, nothing, pull};
pub use refs::{of_layer, of_project};
pub use target::{Settled, Staged, Target, TargetError, moment, stage};
pub use unpack::{UnpackError, unpack};
