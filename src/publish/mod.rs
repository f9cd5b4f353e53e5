//! Proof and promotion: probes in clean containers of a pushed image, and tags for people that move only when all is
//! good.
//!
//! [`prove`] runs what [`crate::snapshot::Probes`] names, [`record`] keeps what came out beside the image, [`promote`]
//! moves tags, [`attest`] tells what the image was made from, [`inventory`] what is in it, and
//! [`publish_units`] what was cooked into it; [`donor`] finds the last good image. Nothing is kept on this
//! machine: the registry has it all, so every machine knows.

mod artifact;
mod donor;
mod extract;
mod labels;
mod promote;
mod proof;
mod provenance;
mod record;
mod sbom;
mod units;
mod verify;

pub use donor::{DonorImage, NoDonor, donor};
pub use labels::labels;
pub use promote::{Moved, PromoteError, promote};
pub use proof::{Verdict, prove};
pub use provenance::{Provenance, attest};
pub use record::{Proof, is_proven, record, recorded};
pub use sbom::{Contents, SbomError, inventory};
pub use units::{UnitsError, publish_units};
pub use verify::{Subject, Verified, verify};
