//! The unit manifest of a cooked layer, from its image into the registry beside it.
//!
//! It is kept as the JSON document that it is, and not compressed: whoever has a client for registries reads it without
//! lamina, and it is fetched once by each machine.

use tokio_util::sync::CancellationToken;

use super::artifact::{self, Document};
use super::extract::extract;
use super::sbom::Contents;
use crate::cooked;
use crate::engine::{Engine, SolveError};
use crate::model::Digest;
use crate::registry::{Registry, RegistryError, if_found};
use crate::unit::{Manifest, ManifestError};

/// Why an image has no unit manifest beside it.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// The image has no such file.
    #[error("the image has no {0}")]
    Missing(String),
    /// The file is larger than a manifest may be.
    #[error("{0} has more than {max} MiB", max = Manifest::MAX_BYTES >> 20)]
    TooLarge(String),
    /// The file is no manifest.
    #[error("{path}: {why}")]
    Broken {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: ManifestError,
    },
    /// The file is about another layer: an image that this one was made from has it.
    #[error("{path} is about the layer `{layer}`")]
    Foreign {
        /// The file.
        path: String,
        /// The layer that it says.
        layer: String,
    },
    /// The image can't be read.
    #[error(transparent)]
    Engine(#[from] SolveError),
    /// The registry can't be asked, or does not take the document.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Keeps the unit manifest of a cooked layer's image in the image's repository, as a referrer and under the tag
/// [`cooked::tag`]. Returns its digest; `None` where it is there already, or the layer cooks nothing.
///
/// Of an image for several platforms it is the manifest of the first one.
///
/// # Errors
/// When the image has none that can be used, or the engine or the registry fails.
pub async fn publish_units(
    registry: &impl Registry,
    engine: &dyn Engine,
    contents: &Contents<'_>,
    cancel: &CancellationToken,
) -> Result<Option<Digest>, UnitsError> {
    let Contents { snapshot, layer, image, digest } = *contents;
    let Some((found, cooked)) = snapshot.layer(layer).and_then(|found| Some((found, found.cooked.as_ref()?))) else {
        return Ok(None);
    };
    let place = image.with_tag(&cooked::tag(digest)).expect("`units-` and digits are a tag");
    if if_found(registry.digest(&place).await)?.is_some() {
        return Ok(None);
    }
    let path = || cooked.units.clone();
    let Some(platform) = found.build.platforms.first() else { return Ok(None) };
    let most = Manifest::MAX_BYTES as u64 + 1;
    let bytes = extract(engine, (image, digest), platform, &cooked.units, most, cancel).await?;
    let bytes = bytes.ok_or_else(|| UnitsError::Missing(path()))?;
    if bytes.len() > Manifest::MAX_BYTES {
        return Err(UnitsError::TooLarge(path()));
    }
    let manifest = Manifest::parse(&bytes).map_err(|why| UnitsError::Broken { path: path(), why })?;
    if manifest.layer != layer.as_str() {
        return Err(UnitsError::Foreign { path: path(), layer: manifest.layer });
    }
    let about = registry.raw(image, Some(digest)).await?;
    let document = Document {
        artifact_type: Manifest::MEDIA_TYPE,
        media_type: Manifest::MEDIA_TYPE,
        content: bytes,
        annotations: [("dev.lamina.layer", layer.to_string())].into(),
        replaces: true,
    };
    Ok(Some(artifact::push(registry, &about, &place, document).await?))
}
