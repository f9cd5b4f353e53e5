//! What all these tests need: an image that a server can hold, options, questions.

use std::time::Duration;

use lamina::model::{Digest, ImageRef};
use lamina::registry::{self, Manifest, Options, Registry, RegistryError, RetryPolicy};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::Reply;

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Long enough for any answer over loopback on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Options for hosts without TLS, with short waits between attempts.
pub fn plain(hosts: &[&str]) -> Options {
    Options {
        plain_http: hosts.iter().map(|host| (*host).to_owned()).collect(),
        timeout: PATIENCE,
        retry: quick(4),
        ..Options::default()
    }
}

/// So many attempts, with waits that nobody notices.
pub fn quick(attempts: u32) -> RetryPolicy {
    RetryPolicy { attempts, first_wait: Duration::from_millis(1), longest_wait: Duration::from_secs(5), seed: Some(1) }
}

pub fn image(host: &str, name: &str) -> ImageRef {
    format!("{host}/{name}").parse().unwrap()
}

pub fn manifest(options: &Options, image: &ImageRef) -> Result<Manifest, RegistryError> {
    let registries = registry::open(options).unwrap();
    registry::block_on(registries.manifest(image)).unwrap()
}

pub fn digest(options: &Options, image: &ImageRef) -> Result<Digest, RegistryError> {
    let registries = registry::open(options).unwrap();
    registry::block_on(registries.digest(image)).unwrap()
}

pub fn tags(options: &Options, image: &ImageRef) -> Result<Vec<String>, RegistryError> {
    let registries = registry::open(options).unwrap();
    registry::block_on(registries.tags(image)).unwrap()
}

/// The bytes of a manifest that is good.
pub fn good() -> Vec<u8> {
    let (config, layer) = (sha256(b"config"), sha256(b"layer"));
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 6},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 5}],
    })
    .to_string()
    .into_bytes()
}

/// What [`good`] stands for.
pub fn truth() -> Manifest {
    Manifest { digest: sha256(&good()).parse().unwrap(), platforms: [].into() }
}

/// A manifest as a good registry sends it.
pub fn served(body: Vec<u8>) -> Reply {
    let digest = sha256(&body);
    Reply::new(200, body).header("Content-Type", MANIFEST).header("Docker-Content-Digest", &digest)
}

/// Someone who may put images into a registry, by HTTP alone.
pub struct Pusher {
    pub http: Client,
    /// With its scheme.
    pub address: String,
    pub login: Option<(&'static str, &'static str)>,
}

impl Pusher {
    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match self.login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// Puts a manifest or an index.
    pub async fn put(&self, name: &str, tag: &str, media_type: &str, body: &[u8]) {
        let url = format!("{}/v2/{name}/manifests/{tag}", self.address);
        let request = self.http.put(url).header(CONTENT_TYPE, media_type).body(body.to_owned());
        let answer = self.signed(request).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Puts the smallest image there is, with its architecture as its tag; returns its descriptor.
    pub async fn put_image(&self, name: &str, architecture: &str) -> Value {
        let config = json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}});
        let config = config.to_string().into_bytes();
        let upload = self.http.post(format!("{}/v2/{name}/blobs/uploads/", self.address));
        let upload = self.signed(upload).send().await.unwrap();
        let mut place: reqwest::Url = upload.headers()["location"].to_str().unwrap().parse().unwrap();
        place.query_pairs_mut().append_pair("digest", &sha256(&config));
        let put = self.signed(self.http.put(place).body(config.clone())).send().await.unwrap();
        assert!(put.status().is_success(), "{}", put.status());
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
        self.put(name, architecture, MANIFEST, &manifest).await;
        json!({"mediaType": MANIFEST, "digest": sha256(&manifest), "size": manifest.len()})
    }
}
