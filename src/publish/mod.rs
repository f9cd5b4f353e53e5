//! Proof and promotion: probes in clean containers of a pushed image, and tags for people that move only when all is
//! good.
//!
//! [`prove`] runs what [`crate::snapshot::Probes`] names, [`record`] keeps what came out beside the image, [`promote`]
//! moves tags, [`attest`] tells what the image was made from, and [`inventory`] what is in it. Nothing is kept on this
//! machine: the registry has it all, so every machine knows.

mod artifact;
mod labels;
mod promote;
mod proof;
mod provenance;
mod record;
mod sbom;
mod verify;

pub use labels::labels;
pub use promote::{Moved, PromoteError, promote};
pub use proof::{Verdict, prove};
pub use provenance::{Provenance, attest};
pub use record::{Proof, is_proven, record, recorded};
pub use sbom::{Contents, SbomError, inventory};
pub use verify::{Subject, Verified, verify};
