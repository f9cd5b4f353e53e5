//! What a build of a layer is called with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::secrets::Secrets;
use crate::cache::Session;
use crate::engine::{Output, Solve};
use crate::model::{Base, Cooked, Digest, Layer, LayerName};
use crate::plan::Step;
use crate::publish::{self, DonorImage};
use crate::snapshot::Snapshot;

/// Where is what a build reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The Dockerfile.
    pub dockerfile: PathBuf,
    /// The build context.
    pub context: PathBuf,
    /// Further contexts by name.
    pub contexts: BTreeMap<String, PathBuf>,
    /// The earlier image that stands in for the Dockerfile's stage `donor`.
    pub donor: Option<DonorImage>,
}

/// A build of a layer: from the catalog alone, but for the images of its parents. A parent that has no image yet is
/// named by `<digest of PARENT>`, which no engine takes.
///
/// Without a recipe, which a planned layer always has, there is no build.
pub fn compose(
    snapshot: &Snapshot,
    step: &Step,
    layer: &Layer,
    parents: &BTreeMap<LayerName, Digest>,
    places: Places,
    secrets: &Secrets,
    (session, source_date_epoch): (Option<&Session>, Option<u64>),
) -> Option<Solve> {
    let recipe = snapshot.recipe(&layer.name)?.ok()?;
    let mut args: BTreeMap<String, String> =
        recipe.args.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    for edge in layer.edges() {
        // An argument that the Dockerfile does not take is not given.
        let (Base::Layer(parent), Some(value)) = (edge.base, args.get_mut(edge.arg)) else { continue };
        let Some(Ok(image)) = snapshot.image(parent) else { continue };
        let digest = parents.get(parent).map_or_else(|| format!("<digest of {parent}>"), Digest::to_string);
        *value = format!("{}/{}@{digest}", image.registry(), image.repository());
    }
    let cache = session.map(|session| session.references(&step.image, &layer.name)).unwrap_or_default();
    let build = &layer.build;
    let plain_http = snapshot.catalog.config.as_ref().map(|config| config.plain_http.as_slice()).unwrap_or_default();
    let declared = |id: &String| build.secrets.iter().any(|secret| secret.id == *id);
    let mounted = |id: &String| build.ssh.contains(id);
    let folders = places.contexts.into_iter().map(|(name, path)| (name, path.display().to_string()));
    let donor =
        places.donor.map(|donor| (Cooked::DONOR_STAGE.to_owned(), format!("docker-image://{}", donor.pinned())));
    Some(Solve {
        dockerfile: places.dockerfile,
        context: places.context,
        contexts: folders.chain(donor).collect(),
        args,
        target: build.target.clone(),
        platforms: build.platforms.clone(),
        secrets: secrets
            .sources
            .iter()
            .filter(|(id, _)| declared(id))
            .map(|(id, at)| (id.clone(), at.clone()))
            .collect(),
        ssh: secrets.ssh.iter().filter(|(id, _)| mounted(id)).map(|(id, at)| (id.clone(), at.clone())).collect(),
        network: build.network,
        labels: publish::labels(snapshot, layer, parents),
        annotations: build.annotations.clone(),
        cache_from: cache.from.iter().map(ToString::to_string).collect(),
        cache_to: cache.to.as_ref().map(ToString::to_string),
        // What is asked for once more is not looked up in a cache.
        no_cache: step.forced,
        source_date_epoch,
        insecure: plain_http.iter().any(|host| host == step.image.registry()),
        output: Output::Push(step.image.clone()),
    })
}
