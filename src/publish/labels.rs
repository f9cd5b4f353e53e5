//! The labels that lamina gives an image. All of them follow from the layer's inputs: no time, no revision, no tag, so
//! the same inputs give the same labels, and nothing is built anew because of a commit elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Base, Digest, Layer, LayerName};
use crate::snapshot::Snapshot;

/// The labels of a layer's image: the layer's own, those of the OCI image specification, and lamina's. What the layer
/// says itself counts, but for the labels `dev.lamina.…`.
///
/// `parents` has the images of the layers that it is built from.
pub fn labels(snapshot: &Snapshot, layer: &Layer, parents: &BTreeMap<LayerName, Digest>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut label = |name: &str, value: String| drop(labels.insert(name.to_owned(), value));
    label("org.opencontainers.image.title", layer.name.to_string());
    label("org.opencontainers.image.description", layer.summary.clone());
    let (name, digest) = match &layer.runtime_base {
        Base::Image(image) => (Some(image.to_string()), snapshot.lock.get(image).map(|locked| &locked.digest)),
        Base::Layer(parent) => {
            (snapshot.image(parent).and_then(Result::ok).map(|image| image.to_string()), parents.get(parent))
        }
    };
    if let (Some(name), Some(digest)) = (name, digest) {
        label("org.opencontainers.image.base.name", name);
        label("org.opencontainers.image.base.digest", digest.to_string());
    }
    for (name, value) in &layer.build.labels {
        label(name, value.clone());
    }
    label("dev.lamina.layer", layer.name.to_string());
    label("dev.lamina.class", layer.class.to_string());
    if let Some(fingerprint) = snapshot.fingerprints().get(&layer.name) {
        label("dev.lamina.fingerprint", fingerprint.to_string());
    }
    let packages: BTreeSet<&str> =
        snapshot.run_time_deps(&layer.name).iter().map(|dep| dep.what.package.as_str()).collect();
    if !packages.is_empty() {
        label("dev.lamina.native-deps", packages.into_iter().collect::<Vec<_>>().join(" "));
    }
    labels
}
