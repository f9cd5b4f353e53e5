//! The registry that the environment names: `LAMINA_LAB_REGISTRY`, a host with its port, over plain HTTP.

use lamina::model::Platform;
use lamina::registry::{self, Manifest, Registry, RegistryErrorKind};
use reqwest::Client;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::common::{INDEX, MANIFEST, Pusher, digest, image, manifest, plain, sha256, tags};

/// The registry's host, or nothing and a word about it.
fn lab(test: &str) -> Option<String> {
    let host = std::env::var("LAMINA_LAB_REGISTRY").ok();
    if host.is_none() {
        eprintln!("{test} is skipped: LAMINA_LAB_REGISTRY names no registry");
    }
    host
}

#[test]
fn a_tag_stands_for_what_the_registry_says_by_another_way() {
    let Some(host) = lab("a_tag_stands_for_what_the_registry_says_by_another_way") else { return };
    let (repository, tag) = ("library/rust", "1.97.1-slim-trixie");
    let image = image(&host, &format!("{repository}:{tag}"));
    let registries = registry::open(&plain(&[&host])).unwrap();
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
    let image = image(&host, &format!("{name}:all"));
    let registries = registry::open(&plain(&[&host])).unwrap();
    let pusher = Pusher { http: Client::new(), address: format!("http://{host}"), login: None };
    let (manifest, index, [amd64, arm64]) = registry::block_on(async {
        let [amd64, arm64] = [pusher.put_image(&name, "amd64").await, pusher.put_image(&name, "arm64").await];
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
        pusher.put(&name, "all", INDEX, &index).await;
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
    for name in ["library/rust:no-such-tag", "no/such/repository:1"] {
        let error = manifest(&plain(&[&host]), &image(&host, name)).unwrap_err();
        assert!(matches!(error.kind, RegistryErrorKind::NotFound { .. }), "{error}");
        assert_eq!(error.to_string(), format!("{host}/{name}: {host} has no such image"));
    }
    let error = tags(&plain(&[&host]), &image(&host, "no/such/repository:1")).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::NotFound { .. }), "{error}");
}

#[test]
fn a_mirror_is_asked_instead() {
    let Some(host) = lab("a_mirror_is_asked_instead") else { return };
    let mut options = plain(&[&host]);
    options.mirrors.insert("docker.io".to_owned(), host.clone());
    // Nobody by this name: that it answers is the mirror's doing.
    options.mirrors.insert("images.invalid".to_owned(), format!("{host}/library/"));
    let ask = |image: &str| digest(&options, &image.parse().unwrap()).unwrap();
    let direct = ask(&format!("{host}/library/rust:1.97.1-slim-trixie"));
    assert_eq!(ask("rust:1.97.1-slim-trixie"), direct);
    assert_eq!(ask("images.invalid/rust:1.97.1-slim-trixie"), direct);
}
