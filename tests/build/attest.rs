//! What is written down of images, read as anybody reads it.

use lamina::registry::{self, Options, Registry};
use serde_json::Value;

use crate::shop::Shop;

const CARGO_LOCK: &str = r#"version = 4

[[package]]
name = "itoa"
version = "1.0.15"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "4a5f13b858c8d314ee3e8f639011f7ccefe71f97f96e50151fb991f267928e2c"

[[package]]
name = "app"
version = "0.1.0"
dependencies = ["itoa"]
"#;

/// The statement that a layer's repository has under a tag.
fn statement(shop: &Shop, layer: &str, tag: &str) -> Value {
    let image = format!("{}/{}/{layer}:{tag}", shop.registry, shop.unique).parse().unwrap();
    let options = Options { plain_http: [shop.registry.clone()].into(), ..Options::default() };
    let registries = registry::open(&options).unwrap();
    let read = async {
        let manifest: Value = serde_json::from_slice(&registries.raw(&image, None).await.unwrap().bytes).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        registries.blob(&image, &layer, 1 << 20).await.unwrap()
    };
    serde_json::from_slice(&registry::block_on(read).unwrap()).unwrap()
}

#[test]
fn an_sbom_names_the_packages_of_the_image_and_the_crates_that_were_cooked() {
    let Some(shop) = Shop::new("an_sbom_names_the_packages_of_the_image_and_the_crates_that_were_cooked") else {
        return;
    };
    let status = "Package: libc6\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: 2.41-12\\n";
    shop.layer("base", "", &format!("RUN mkdir -p /var/lib/dpkg && printf '{status}' > /var/lib/dpkg/status"), "")
        .layer("app", "base", "RUN true", "cooked = {},")
        .layer("bare", "", "RUN true", "")
        .file("layers/app/Cargo.lock", CARGO_LOCK)
        .lock();
    let (code, report) = shop.build(&["--all", "--attest", "all"]);
    assert_eq!(code, Some(0), "{report:#}");
    // It cooks nothing that it could say.
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "{report:#}");
    let digits = |layer: &str| shop.digest(layer, "latest").unwrap()["sha256:".len()..][..20].to_owned();
    let sbom = |layer: &str| statement(&shop, layer, &format!("sbom-{}", digits(layer)));
    let purls = |layer: &str| {
        let packages = sbom(layer)["predicate"]["packages"].as_array().unwrap().clone();
        let purl = |package: &Value| Some(package["externalRefs"][0]["referenceLocator"].as_str()?.to_owned());
        packages.iter().filter_map(purl).collect::<Vec<_>>()
    };
    let libc = "pkg:deb/debian/libc6@2.41-12?arch=amd64";
    assert_eq!(purls("base"), [libc]);
    assert_eq!(purls("app"), ["pkg:cargo/itoa@1.0.15", libc]);
    assert_eq!(purls("bare"), [""; 0]);
    let app = sbom("app");
    assert_eq!(app["predicateType"], "https://spdx.dev/Document");
    assert_eq!(app["subject"][0]["digest"]["sha256"], shop.digest("app", "latest").unwrap()["sha256:".len()..]);
    assert_eq!(app["predicate"]["spdxVersion"], "SPDX-2.3");
    let relations = app["predicate"]["relationships"].as_array().unwrap().iter();
    assert_eq!(relations.filter(|relation| relation["relationshipType"] == "CONTAINS").count(), 2);
    // Beside what it was made from.
    let provenance = statement(&shop, "app", &format!("provenance-{}", digits("app")));
    assert_eq!(provenance["predicateType"], "https://slsa.dev/provenance/v1");
}

#[test]
fn what_is_not_to_be_written_down_is_not() {
    let Some(shop) = Shop::new("what_is_not_to_be_written_down_is_not") else { return };
    shop.layer("base", "", "RUN true", "").lock();
    assert_eq!(shop.build(&["--all", "--attest", "none"]).0, Some(0));
    let tags = shop.tags("base");
    assert!(!tags.iter().any(|tag| tag.starts_with("provenance-") || tag.starts_with("sbom-")), "{tags:?}");
}
