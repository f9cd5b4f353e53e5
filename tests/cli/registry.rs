//! Images of a test's own in a real registry, the one that LAMINA_LAB_REGISTRY names (HOST:PORT, without TLS).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A namespace in the registry that no other test uses.
pub struct Namespace {
    /// The registry's host.
    pub host: String,
    name: String,
}

impl Namespace {
    /// A new one; none, and a message, where there is no registry.
    pub fn new() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let Ok(host) = std::env::var("LAMINA_LAB_REGISTRY") else {
            eprintln!("skipped: LAMINA_LAB_REGISTRY is not set, so there is no registry to ask");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        Some(Self { host, name: format!("test-{}-{number}-{now}", std::process::id()) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of a repository: `127.0.0.1:5000/test-1-2/base`.
    pub fn image(&self, repository: &str) -> String {
        format!("{}/{}/{repository}", self.host, self.name)
    }

    /// The repository in the registry.
    pub fn repository(&self, repository: &str) -> String {
        format!("{}/{repository}", self.name)
    }

    /// Pushes an image whose only content is a text; returns its digest.
    pub fn push(&self, repository: &str, tag: &str, content: &str) -> String {
        let config = self.blob(repository, json!({ "architecture": "amd64", "os": "linux", "comment": content }));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [],
        });
        self.manifest(repository, tag, &manifest)
    }

    /// Pushes an index of images, one a platform; returns its digest.
    pub fn push_index(&self, repository: &str, tag: &str, content: &str, platforms: &[&str]) -> String {
        let member = |platform: &&str| {
            let digest = self.push(repository, &platform.replace('/', "-"), &format!("{content} {platform}"));
            let size = self.get(&format!("/v2/{}/manifests/{digest}", self.repository(repository))).len();
            let (os, architecture) = platform.split_once('/').unwrap();
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest,
                "size": size,
                "platform": { "os": os, "architecture": architecture },
            })
        };
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": platforms.iter().map(member).collect::<Vec<_>>(),
        });
        self.manifest(repository, tag, &index)
    }

    /// Pushes a document about an image, of a type, under a tag of its own.
    pub fn push_document(&self, repository: &str, tag: &str, media_type: &str, image: &str, content: &[u8]) {
        let config = self.bytes(repository, "application/vnd.oci.empty.v1+json", b"{}");
        let layer = self.bytes(repository, media_type, content);
        let size = self.get(&format!("/v2/{}/manifests/{image}", self.repository(repository))).len();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": media_type,
            "config": config,
            "layers": [layer],
            "subject": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image, "size": size,
            },
        });
        self.manifest(repository, tag, &manifest);
    }

    fn manifest(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        let body = serde_json::to_vec(manifest).unwrap();
        let path = format!("/v2/{}/manifests/{tag}", self.repository(repository));
        let media_type = manifest["mediaType"].as_str().unwrap();
        let (status, _, _) = self.request("PUT", &path, media_type, &body);
        assert_eq!(status, 201, "{path}");
        digest(&body)
    }

    fn blob(&self, repository: &str, content: Value) -> Value {
        let body = serde_json::to_vec(&content).unwrap();
        self.bytes(repository, "application/vnd.oci.image.config.v1+json", &body)
    }

    fn bytes(&self, repository: &str, media_type: &str, body: &[u8]) -> Value {
        let path = format!("/v2/{}/blobs/uploads/", self.repository(repository));
        let (status, head, _) = self.request("POST", &path, "text/plain", b"");
        assert_eq!(status, 202, "{path}");
        let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim();
        let location = location.split_once(&self.host).map_or(location, |(_, path)| path);
        let digest = digest(body);
        let path = format!("{location}&digest={digest}");
        let (status, _, _) = self.request("PUT", &path, "application/octet-stream", body);
        assert_eq!(status, 201, "{path}");
        json!({ "mediaType": media_type, "digest": digest, "size": body.len() })
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let (status, _, body) = self.request("GET", path, "text/plain", b"");
        assert_eq!(status, 200, "{path}");
        body
    }

    fn request(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\nAccept: {accept}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.host,
            body.len()
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, answer[end + 4..].to_vec())
    }
}

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
