//! Who reads and writes which layer cache: the one place that decides on cache references.

use crate::model::ImageRef;

/// Where the layer cache of builds is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheStore {
    /// In the registry of the images, a reference a layer.
    #[default]
    Registry,
    /// Nowhere: a build has the engine's own cache alone.
    None,
}

/// The references that a build reads its layer cache from, and the one that it writes it to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRefs {
    /// Read, in this order. One that is not there is no error.
    pub from: Vec<String>,
    /// Written.
    pub to: Option<String>,
}

/// The cache references of a layer with this image: `REGISTRY/NAMESPACE/cache/LAYER:latest`. Each layer has a
/// reference of its own, because of two that write to the same one the last one wins.
pub fn references(image: &ImageRef, store: CacheStore) -> CacheRefs {
    match store {
        CacheStore::None => CacheRefs::default(),
        CacheStore::Registry => {
            let (namespace, layer) = match image.repository().rsplit_once('/') {
                Some((namespace, layer)) => (format!("{namespace}/"), layer),
                None => (String::new(), image.repository()),
            };
            let reference = format!("{}/{namespace}cache/{layer}:latest", image.registry());
            CacheRefs { from: vec![reference.clone()], to: Some(reference) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_reference_of_its_own() {
        let image: ImageRef = "localhost:5000/team/lamina/rust:fp-0123".parse().unwrap();
        let reference = "localhost:5000/team/lamina/cache/rust:latest".to_owned();
        let expected = CacheRefs { from: vec![reference.clone()], to: Some(reference) };
        assert_eq!(references(&image, CacheStore::Registry), expected);
        assert_eq!(references(&image, CacheStore::None), CacheRefs::default());
    }
}
