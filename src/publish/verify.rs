//! Proving again, on demand: the image that the registry has, whether it was proven before or not.

use tokio_util::sync::CancellationToken;

use super::proof::prove;
use super::record::{Proof, record};
use crate::engine::{Engine, SolveError};
use crate::event::ProbeResult;
use crate::host::clock;
use crate::model::{Digest, Fingerprint, ImageRef};
use crate::registry::{Registry, RegistryError, if_found};
use crate::snapshot::Probes;

/// What is to be proven again.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The layer's fingerprint.
    pub fingerprint: Fingerprint,
    /// Its image, with the tag of the fingerprint.
    pub image: ImageRef,
    /// Another image of the layer than that of the fingerprint.
    pub digest: Option<Digest>,
    /// What has to be right.
    pub probes: Probes<'a>,
}

/// What came of proving a layer's image again.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The image; none where the registry has none of the fingerprint.
    pub digest: Option<Digest>,
    /// What came out of each probe.
    pub results: Vec<ProbeResult>,
    /// Whether the registry has this proof now.
    pub recorded: bool,
    /// Why the probes could not be run.
    pub error: Option<SolveError>,
}

impl Verified {
    /// Whether there is an image, and every probe of it was right.
    pub fn is_good(&self) -> bool {
        self.digest.is_some() && self.error.is_none() && self.results.iter().all(|result| result.wrong.is_none())
    }
}

/// Proves a layer's image, and keeps the proof where that is wanted and all is right.
///
/// Only the image of the fingerprint has its proof kept: the probes are those of the catalog as it is, and another
/// image may have been made to other ones.
///
/// # Errors
/// When the registry can't be asked, or does not take the proof.
pub async fn verify(
    registry: &impl Registry,
    engine: &dyn Engine,
    subject: &Subject<'_>,
    keeps: bool,
    cancel: &CancellationToken,
) -> Result<Verified, RegistryError> {
    let mut verified = Verified { digest: None, results: Vec::new(), recorded: false, error: None };
    let current = if_found(registry.digest(&subject.image).await)?;
    let Some(digest) = subject.digest.as_ref().or(current.as_ref()) else { return Ok(verified) };
    verified.digest = Some(digest.clone());
    let mut found = |_| {};
    match prove(engine, &subject.image, digest, &subject.probes, &mut found, cancel).await {
        Ok(verdict) => verified.results = verdict.results,
        Err(error) => verified.error = Some(error),
    }
    if keeps && verified.is_good() && !verified.results.is_empty() && current.as_ref() == Some(digest) {
        let (layer, results) = (subject.probes.layer.clone(), verified.results.clone());
        let proof = Proof::new(layer, subject.fingerprint, digest.clone(), clock::now(), results);
        record(registry, &subject.image, &proof).await?;
        verified.recorded = true;
    }
    Ok(verified)
}
