//! What a build of a layer is called with: all that a builder has to know besides the files.

use std::collections::BTreeMap;

use super::{Snapshot, at_field};
use crate::catalog::{CATALOG_FILE, LoadedLayer};
use crate::diag::{Code, Diagnostic};
use crate::dockerfile::Dockerfile;
use crate::model::{Base, Cooked, ImageRef, Layer, LayerName};

/// What a build of a layer is called with.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe<'a> {
    /// The layer.
    pub layer: &'a Layer,
    /// What the image is called: `REGISTRY/NAMESPACE/LAYER:fp-…`. The tag names the inputs, so where the registry has
    /// it, the layer is built.
    pub image: ImageRef,
    /// The build arguments by name: the layer's own, its bases and donors, and the profiles of what it cooks.
    ///
    /// A parent layer is given by its image of the fingerprint; an external image by its tag and its locked digest,
    /// from the catalog's mirror where it names one. Without a digest in the lock, it is given by its tag alone.
    pub args: BTreeMap<&'a str, String>,
    /// Whether the Dockerfile has a stage that an earlier image of the layer may stand in for: `FROM scratch AS donor`,
    /// of a layer that cooks. It makes a build faster and is no input: the result is the same without it.
    pub takes_donor: bool,
}

impl Snapshot {
    /// What a build of the layer is called with; `None` where there is no such layer.
    ///
    /// # Errors
    /// A finding: the layer, or one that it depends on, has no fingerprint, or the catalog's registry and namespace
    /// make no name of an image.
    pub fn recipe(&self, name: &LayerName) -> Option<Result<Recipe<'_>, Box<Diagnostic>>> {
        self.catalog.layers.get(name).map(|loaded| self.recipe_of(loaded))
    }

    /// What the layer's image is called, as in its [`Recipe`]; `None` where there is no such layer.
    ///
    /// # Errors
    /// As for [`Snapshot::recipe`].
    pub fn image(&self, name: &LayerName) -> Option<Result<ImageRef, Box<Diagnostic>>> {
        self.catalog.layers.get(name).map(|loaded| self.image_for(loaded, name))
    }

    fn recipe_of<'a>(&'a self, loaded: &'a LoadedLayer) -> Result<Recipe<'a>, Box<Diagnostic>> {
        let layer = &loaded.layer;
        let mut args: BTreeMap<&str, String> =
            layer.build.args.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let dockerfile = self.dockerfile(layer);
        for edge in layer.edges() {
            // BuildKit warns of arguments that a Dockerfile does not take, and most need no RUNTIME_BASE.
            if dockerfile.as_ref().is_none_or(|dockerfile| takes(dockerfile, edge.arg)) {
                let value = match edge.base {
                    Base::Layer(parent) => self.image_for(loaded, parent)?.to_string(),
                    Base::Image(image) => self.pull_name(image),
                };
                args.insert(edge.arg, value);
            }
        }
        if let Some(cooked) = &layer.cooked
            && dockerfile.as_ref().is_none_or(|dockerfile| takes(dockerfile, Cooked::PROFILES_ARG))
        {
            args.insert(Cooked::PROFILES_ARG, cooked.profiles_arg());
        }
        let has_stage = |dockerfile: &Dockerfile| dockerfile.from_scratch(Cooked::DONOR_STAGE).is_some();
        let takes_donor = layer.cooked.is_some() && dockerfile.as_ref().is_some_and(has_stage);
        Ok(Recipe { layer, image: self.image_for(loaded, &layer.name)?, args, takes_donor })
    }

    /// The image of a layer under its fingerprint, asked for by `asking`.
    fn image_for(&self, asking: &LoadedLayer, name: &LayerName) -> Result<ImageRef, Box<Diagnostic>> {
        let no_fingerprint = || {
            let message = format!("{name} has no fingerprint, so {} can't be built", asking.layer.name);
            Box::new(at_field(asking, Code::CatalogValue, "layer", message))
        };
        let config = self.catalog.config.as_ref().ok_or_else(no_fingerprint)?;
        let tag = self.fingerprints().get(name).ok_or_else(no_fingerprint)?.tag();
        let text = format!("{}/{}/{name}:{tag}", config.registry, config.namespace);
        match text.parse::<ImageRef>() {
            // A registry that does not look like a host would silently become a folder of Docker Hub.
            Ok(image) if image.registry() == config.registry => Ok(image),
            _ => {
                let (registry, namespace) = (&config.registry, &config.namespace);
                let message = format!("`{registry}` and `{namespace}` make no name of an image: `{text}`");
                let help = "registry is a host, as in ghcr.io or localhost:5000; namespace is in small letters";
                Err(Box::new(Diagnostic::new(Code::CatalogValue, message).file(CATALOG_FILE).help(help)))
            }
        }
    }

    /// How an external image is pulled: from the mirror, by tag and digest.
    fn pull_name(&self, image: &ImageRef) -> String {
        let mirrors = self.catalog.config.iter().flat_map(|config| &config.mirrors);
        let host = mirrors.into_iter().find(|mirror| mirror.registry == image.registry());
        let host = host.map_or(image.registry(), |mirror| &mirror.host);
        let name = format!("{host}/{}:{}", image.repository(), image.tag());
        match self.lock.get(image) {
            Some(locked) => format!("{name}@{}", locked.digest),
            None => name,
        }
    }

    /// A layer's Dockerfile, where it can be read: what is wrong with it is validation's to say.
    fn dockerfile(&self, layer: &Layer) -> Option<Dockerfile> {
        let file = self.catalog.files.text(&layer.build.dockerfile).ok()??;
        Dockerfile::parse(layer.build.dockerfile.as_str(), &file.text).ok()
    }
}

fn takes(dockerfile: &Dockerfile, arg: &str) -> bool {
    let of_stages = dockerfile.stages.iter().flat_map(|stage| &stage.args);
    dockerfile.global_args.iter().chain(of_stages).any(|known| known.name == arg)
}

impl Recipe<'_> {
    /// The image's name without its tag: `REGISTRY/NAMESPACE/LAYER`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.image.registry(), self.image.repository())
    }

    /// The build arguments as `NAME=value`.
    pub fn build_args(&self) -> impl Iterator<Item = String> {
        self.args.iter().map(|(name, value)| format!("{name}={value}"))
    }
}
