//! The registry that the environment names: `LAMINA_LAB_REGISTRY`, a host with its port, over plain HTTP.

use lamina::model::{ImageRef, Platform};
use lamina::registry::{self, Manifest, Options, Registry, RegistryErrorKind};
use reqwest::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The registry's host, or nothing and a word about it.
fn lab(test: &str) -> Option<String> {
    let host = std::env::var("LAMINA_LAB_REGISTRY").ok();
    if host.is_none() {
        eprintln!("{test} is skipped: LAMINA_LAB_REGISTRY names no registry");
    }
    host
}

fn plain(host: &str) -> Options {
    Options { plain_http: [host.to_owned()].into(), ..Options::default() }
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Puts a manifest into a repository, by HTTP alone.
async fn put(http: &Client, host: &str, name: &str, tag: &str, media_type: &str, body: &[u8]) {
    let url = format!("http://{host}/v2/{name}/manifests/{tag}");
    let answer = http.put(url).header(CONTENT_TYPE, media_type).body(body.to_owned()).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

/// Puts the smallest image there is; returns its descriptor.
async fn put_image(http: &Client, host: &str, name: &str, architecture: &str) -> Value {
    let config = json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}});
    let config = config.to_string().into_bytes();
    let upload = http.post(format!("http://{host}/v2/{name}/blobs/uploads/")).send().await.unwrap();
    let mut place: reqwest::Url = upload.headers()["location"].to_str().unwrap().parse().unwrap();
    place.query_pairs_mut().append_pair("digest", &sha256(&config));
    assert!(http.put(place).body(config.clone()).send().await.unwrap().status().is_success());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": sha256(&config),
            "size": config.len(),
        },
        "layers": [],
    });
    let manifest = manifest.to_string().into_bytes();
    put(http, host, name, architecture, MANIFEST, &manifest).await;
    json!({"mediaType": MANIFEST, "digest": sha256(&manifest), "size": manifest.len()})
}

#[test]
fn a_tag_stands_for_what_the_registry_says_by_another_way() {
    let Some(host) = lab("a_tag_stands_for_what_the_registry_says_by_another_way") else { return };
    let (repository, tag) = ("library/rust", "1.97.1-slim-trixie");
    let image: ImageRef = format!("{host}/{repository}:{tag}").parse().unwrap();
    let registries = registry::open(&plain(&host)).unwrap();
    let (digest, manifest, tags, bytes) = registry::block_on(async {
        let url = format!("http://{host}/v2/{repository}/manifests/{tag}");
        let bytes = Client::new().get(url).header(ACCEPT, MANIFEST).send().await.unwrap().bytes().await.unwrap();
        let digest = registries.digest(&image).await.unwrap();
        (digest, registries.manifest(&image).await.unwrap(), registries.tags(&image).await.unwrap(), bytes)
    })
    .unwrap();
    assert_eq!(digest.as_str(), sha256(&bytes));
    assert_eq!(manifest, Manifest { digest, platforms: [].into() });
    assert!(tags.contains(&tag.to_owned()), "{tags:?}");
}

#[test]
fn an_index_has_its_platforms() {
    let Some(host) = lab("an_index_has_its_platforms") else { return };
    let name = format!("lamina-tests/index-{}", std::process::id());
    let image: ImageRef = format!("{host}/{name}:all").parse().unwrap();
    let registries = registry::open(&plain(&host)).unwrap();
    let (manifest, index, [amd64, arm64]) = registry::block_on(async {
        let http = Client::new();
        let [amd64, arm64] =
            [put_image(&http, &host, &name, "amd64").await, put_image(&http, &host, &name, "arm64").await];
        let with = |descriptor: &Value, platform: Value| {
            let mut entry = descriptor.clone();
            entry["platform"] = platform;
            entry
        };
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            with(&amd64, json!({"os": "linux", "architecture": "amd64"})),
            with(&arm64, json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
            with(&amd64, json!({"os": "unknown", "architecture": "unknown"})),
        ]});
        let index = index.to_string().into_bytes();
        put(&http, &host, &name, "all", INDEX, &index).await;
        let manifest = registries.manifest(&image).await.unwrap();
        assert_eq!(registries.digest(&image).await.unwrap(), manifest.digest);
        assert_eq!(registries.tags(&image).await.unwrap(), ["all", "amd64", "arm64"]);
        (manifest, index, [amd64, arm64])
    })
    .unwrap();
    let platform = |text: &str| text.parse::<Platform>().unwrap();
    let digest = |descriptor: &Value| descriptor["digest"].as_str().unwrap().parse().unwrap();
    assert_eq!(manifest.digest.as_str(), sha256(&index));
    let expected = [(platform("linux/amd64"), digest(&amd64)), (platform("linux/arm64"), digest(&arm64))];
    assert_eq!(manifest.platforms, expected.into());
}

#[test]
fn what_is_not_there_is_not_found() {
    let Some(host) = lab("what_is_not_there_is_not_found") else { return };
    let registries = registry::open(&plain(&host)).unwrap();
    for name in ["library/rust:no-such-tag", "no/such/repository:1"] {
        let image: ImageRef = format!("{host}/{name}").parse().unwrap();
        let error = registry::block_on(registries.manifest(&image)).unwrap().unwrap_err();
        assert!(matches!(error.kind, RegistryErrorKind::NotFound { .. }), "{error}");
        assert_eq!(error.to_string(), format!("{host}/{name}: {host} has no such image"));
    }
    let image: ImageRef = format!("{host}/no/such/repository:1").parse().unwrap();
    let error = registry::block_on(registries.tags(&image)).unwrap().unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::NotFound { .. }), "{error}");
}

#[test]
fn a_mirror_is_asked_instead() {
    let Some(host) = lab("a_mirror_is_asked_instead") else { return };
    let mut options = plain(&host);
    options.mirrors.insert("docker.io".to_owned(), host.clone());
    // Nobody by this name: that it answers is the mirror's doing.
    options.mirrors.insert("images.invalid".to_owned(), format!("{host}/library/"));
    let registries = registry::open(&options).unwrap();
    let ask = |image: &str| registry::block_on(registries.digest(&image.parse().unwrap())).unwrap().unwrap();
    let direct = ask(&format!("{host}/library/rust:1.97.1-slim-trixie"));
    assert_eq!(ask("rust:1.97.1-slim-trixie"), direct);
    assert_eq!(ask("images.invalid/rust:1.97.1-slim-trixie"), direct);
}
