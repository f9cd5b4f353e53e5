//! What is wrong with what layers stand on: images that are not pinned, and bases that lack a platform.

use std::collections::BTreeSet;

use super::{Snapshot, at_field};
use crate::catalog::LoadedLayer;
use crate::diag::{Code, Diagnostic};
use crate::lock;
use crate::model::{Base, Edge, EdgeKind, ImageRef, Layer, LayerName, Platform};

/// What to do about a base that lacks a platform.
const OTHER_BASE: &str = "take a base that is, or leave the platform out of build.platforms";

impl Snapshot {
    /// What is wrong with what a layer stands on directly: an external image without a digest in the lock
    /// (`unpinned`), and a base or donor that is not there for a platform of the layer (`platform-missing`).
    ///
    /// Of external images the lock says the platforms, where their digest is that of an index. A layer has those that
    /// it is built for.
    pub fn base_findings(&self, loaded: &LoadedLayer) -> Vec<Diagnostic> {
        let layer = &loaded.layer;
        // Where both bases are the same, they are wrong once.
        let is_own = |edge: &Edge<'_>| edge.kind != EdgeKind::Runtime || layer.build_base != layer.runtime_base;
        let of_edge = |edge: Edge<'_>| match edge.base {
            Base::Image(image) => self.image_findings(loaded, &format!("{}.image", edge.field()), image),
            Base::Layer(parent) => self.parent_findings(loaded, &format!("{}.layer", edge.field()), parent),
        };
        layer.edges().filter(is_own).flat_map(of_edge).collect()
    }

    fn image_findings(&self, loaded: &LoadedLayer, field: &str, image: &ImageRef) -> Vec<Diagnostic> {
        let file = self.lock_file.as_deref().unwrap_or(lock::FILE);
        let name = image.familiar();
        let Some(locked) = self.lock.get(image) else {
            let finding = at_field(loaded, Code::Unpinned, field, format!("{name} has no digest in {file}"));
            return vec![finding.help("`lamina lock` puts it there")];
        };
        let known: Vec<&Platform> = locked.platforms.keys().collect();
        let finding = |platform: &Platform| {
            let finding = lacking(loaded, field, platform, &name);
            let there = known.iter().map(|platform| platform.as_str()).collect::<Vec<_>>().join(", ");
            let finding = finding.label(file, locked.span.clone(), format!("it is there for {there}"));
            finding.help(OTHER_BASE)
        };
        missing(&loaded.layer, &known).map(finding).collect()
    }

    /// What is wrong with the platforms of an external image that a layer stands on, where somebody else than the lock
    /// says which ones those are.
    pub fn platform_findings(
        &self,
        loaded: &LoadedLayer,
        image: &ImageRef,
        known: &BTreeSet<Platform>,
    ) -> Vec<Diagnostic> {
        let Some(edge) = loaded.layer.edges().find(|edge| edge.base.as_image() == Some(image)) else {
            return Vec::new();
        };
        let known: Vec<&Platform> = known.iter().collect();
        let finding = |platform: &Platform| {
            let finding = lacking(loaded, &format!("{}.image", edge.field()), platform, &image.familiar());
            let there = known.iter().map(|platform| platform.as_str()).collect::<Vec<_>>().join(", ");
            finding.note(format!("it is there for {there}")).help(OTHER_BASE)
        };
        missing(&loaded.layer, &known).map(finding).collect()
    }

    fn parent_findings(&self, loaded: &LoadedLayer, field: &str, parent: &LayerName) -> Vec<Diagnostic> {
        let known: Vec<&Platform> = self.layer(parent).into_iter().flat_map(|layer| &layer.build.platforms).collect();
        let finding = |platform: &Platform| {
            let finding = lacking(loaded, field, platform, parent.as_str());
            finding.help(format!("add the platform to build.platforms of {parent}, or leave it out here"))
        };
        missing(&loaded.layer, &known).map(finding).collect()
    }
}

/// The platforms of a layer that are not among those of its base; none where nobody says which ones those are.
fn missing<'a>(layer: &'a Layer, known: &[&Platform]) -> impl Iterator<Item = &'a Platform> {
    let platforms = if known.is_empty() { &[] } else { layer.build.platforms.as_slice() };
    platforms.iter().filter(|platform| !known.contains(platform))
}

fn lacking(loaded: &LoadedLayer, field: &str, platform: &Platform, base: &str) -> Diagnostic {
    let message = format!("{} is built for {platform}, and {base} is not there for it", loaded.layer.name);
    at_field(loaded, Code::PlatformMissing, field, message)
}
