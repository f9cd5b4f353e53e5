//! What an image was made from: SLSA provenance, version 1, in an in-toto statement, version 1. lamina makes it from
//! what it knows, and not the engine: an attestation in the image's index would give every build another digest.

use std::collections::BTreeMap;

use futures_util::future::join;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::artifact::{self, Document};
use crate::engine::About;
use crate::event::RunId;
use crate::fingerprint::Parent;
use crate::model::{Digest, ImageRef, LayerName, RelPath};
use crate::registry::{Registry, RegistryError, if_found};
use crate::snapshot::Snapshot;
use crate::tree::Hash;

/// The type of the document, and of the artifact that it is in.
pub(super) const MEDIA_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters mean; docs/proof.md says it.
const BUILD_TYPE: &str = "urn:lamina:build:v1";

/// What is known of how an image was made.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// The revision of the catalog that it was made from.
    pub snapshot: &'a Snapshot,
    /// The layer.
    pub layer: &'a LayerName,
    /// The image's name.
    pub image: &'a ImageRef,
    /// The image.
    pub digest: &'a Digest,
    /// The images of the layers that it was built from.
    pub parents: &'a BTreeMap<LayerName, Digest>,
    /// The commit in git, where there is one and nothing is changed since.
    pub revision: Option<&'a str>,
    /// What built it.
    pub engine: &'a About,
    /// The run that did.
    pub run: &'a RunId,
    /// When that began.
    pub started: Timestamp,
    /// When it was done.
    pub finished: Timestamp,
}

/// Keeps the provenance of an image in the image's repository, as a referrer and under the tag `provenance-` and 20
/// digits of the image's digest. What is there is left alone, and the answer is none: who built the image knows best.
///
/// # Errors
/// When the registry can't be asked, does not have the image, or does not take the document.
pub async fn attest(registry: &impl Registry, provenance: &Provenance<'_>) -> Result<Option<Digest>, RegistryError> {
    let Provenance { image, digest, .. } = provenance;
    let digits = digest.as_str().trim_start_matches("sha256:");
    let place = image.with_tag(&format!("provenance-{}", &digits[..20])).expect("`provenance-` and digits are a tag");
    let (known, manifest) = join(registry.digest(&place), registry.raw(image, Some(digest))).await;
    if if_found(known)?.is_some() {
        return Ok(None);
    }
    let manifest = manifest?;
    let document = Document {
        artifact_type: MEDIA_TYPE,
        media_type: MEDIA_TYPE,
        content: provenance.statement().to_string().into_bytes(),
        annotations: [
            ("in-toto.io/predicate-type", PREDICATE.to_owned()),
            ("org.opencontainers.image.created", provenance.finished.to_string()),
        ]
        .into(),
        replaces: false,
    };
    artifact::push(registry, &manifest, &place, document).await.map(Some)
}

impl Provenance<'_> {
    /// The statement: which image, and what it was made from.
    pub fn statement(&self) -> Value {
        let About { client, version, .. } = self.engine;
        let predicate = json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": self.parameters(),
                "resolvedDependencies": self.dependencies(),
            },
            "runDetails": {
                "builder": {
                    "id": "urn:lamina",
                    "version": { "lamina": env!("CARGO_PKG_VERSION"), client.as_str(): version },
                },
                "metadata": {
                    "invocationId": self.run,
                    "startedOn": self.started,
                    "finishedOn": self.finished,
                },
            },
        });
        statement(self.image, self.digest, PREDICATE, predicate)
    }

    /// What the catalog says: the fields that go into the fingerprint.
    fn parameters(&self) -> Value {
        let fingerprints = self.snapshot.fingerprints();
        let fields = fingerprints.inputs(self.layer).map(|inputs| &inputs.fields);
        let field = |(name, value): (&String, &String)| {
            (name.clone(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value.clone())))
        };
        let fields: Map<String, Value> = fields.into_iter().flatten().map(field).collect();
        json!({
            "catalog": self.snapshot.catalog.config.as_ref().map(|catalog| &catalog.name),
            "layer": self.layer,
            "fingerprint": fingerprints.get(self.layer),
            "fields": fields,
        })
    }

    /// The files and images that went into it, each by its hash.
    fn dependencies(&self) -> Vec<Value> {
        let mut all = Vec::new();
        if let Some(revision) = self.revision {
            all.push(json!({ "name": "catalog", "digest": { "gitCommit": revision } }));
        }
        let Some(inputs) = self.snapshot.fingerprints().inputs(self.layer) else { return all };
        let hex = |hash: &[u8]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let named = inputs.contexts.values().map(|context| (&context.folder, &context.files));
        let folders = [(&inputs.context_folder, &inputs.context)].into_iter().chain(named);
        // A file may be in several of them, and the Dockerfile most often is.
        let mut files = BTreeMap::from([(inputs.dockerfile.clone(), inputs.dockerfile_hash)]);
        for (folder, content) in folders {
            files.extend(content.iter().map(|(path, file)| (folder.join(path).unwrap_or_default(), file.hash)));
        }
        let file = |(path, hash): (RelPath, Hash)| json!({ "name": path, "digest": { "sha256": hex(&hash) } });
        all.extend(files.into_iter().map(file));
        for ((edge, _), parent) in &inputs.edges {
            let (uri, digest) = match parent {
                Parent::Image(image, digest) => (image.to_string(), digest.as_ref()),
                Parent::Layer(name, _) => match self.snapshot.image(name).and_then(Result::ok) {
                    Some(image) => (image.to_string(), self.parents.get(name)),
                    None => continue,
                },
            };
            let mut entry = json!({ "name": edge.to_string(), "uri": format!("docker-image://{uri}") });
            if let Some(digest) = digest {
                entry["digest"] = sha256(digest);
            }
            all.push(entry);
        }
        all
    }
}

/// What is said of an image, as an in-toto statement.
pub(super) fn statement(image: &ImageRef, digest: &Digest, predicate_type: &str, predicate: Value) -> Value {
    json!({
        "_type": STATEMENT,
        "subject": [{
            "name": format!("{}/{}", image.registry(), image.repository()),
            "digest": sha256(digest),
        }],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

fn sha256(digest: &Digest) -> Value {
    json!({ "sha256": digest.as_str().trim_start_matches("sha256:") })
}
