//! Catalogs whose images are in a registry, as far as a test puts them there.

use std::collections::BTreeMap;

use crate::registry::Namespace;
use crate::workshop::{CATALOG, Workshop};

/// What a layer declares that is to be proven.
pub const PROBE: &str = "tools_provided = [{ name = \"tool\", probe = [\"tool\", \"--version\"] }],";

/// An empty catalog whose images are in a namespace of this registry.
pub fn shop_at(host: &str, namespace: &str) -> Workshop {
    let shop = Workshop::new();
    let catalog = CATALOG
        .replace("localhost:5000", host)
        .replace("namespace | default = \"workshop\"", &format!("namespace | default = \"{namespace}\""))
        .replace("  registry |", &format!("  plain_http = [\"{host}\"],\n  registry |"));
    shop.file("catalog/catalog.ncl", &catalog);
    shop
}

/// An empty catalog whose images are in this namespace.
pub fn shop_in(namespace: &Namespace) -> Workshop {
    shop_at(&namespace.host, namespace.name())
}

/// The tags of the fingerprints by layer.
pub fn tags(shop: &Workshop) -> BTreeMap<String, String> {
    let listed = shop.run(["list", "--format", "json"]).json(0);
    let tag = |layer: &serde_json::Value| {
        let fingerprint = layer["fingerprint"].as_str().unwrap();
        (layer["layer"].as_str().unwrap().to_owned(), format!("fp-{}", &fingerprint[..20]))
    };
    listed["layers"].as_array().unwrap().iter().map(tag).collect()
}

/// Pushes an image of a layer as it is now; returns its digest.
pub fn push(namespace: &Namespace, shop: &Workshop, layer: &str) -> String {
    namespace.push(layer, &tags(shop)[layer], layer)
}

/// Pushes something under the name of an image's proof.
pub fn push_proof(namespace: &Namespace, layer: &str, digest: &str) {
    namespace.push(layer, &format!("proof-{}", &digest["sha256:".len()..][..20]), "a proof");
}
