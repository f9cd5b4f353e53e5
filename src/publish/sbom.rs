//! What is in an image: an SPDX document, version 2.3, in an in-toto statement. The packages of Debian come from the
//! image itself, the crates from the `Cargo.lock` of the dependency sets that were cooked into it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::artifact::{self, Document};
use super::extract::extract;
use super::provenance::{MEDIA_TYPE, statement};
use crate::engine::{Engine, SolveError};
use crate::model::{Digest, EdgeKind, ImageRef, LayerName, RelPath};
use crate::registry::{Registry, RegistryError};
use crate::snapshot::Snapshot;

/// <https://github.com/in-toto/attestation/blob/main/spec/predicates/spdx.md>
const PREDICATE: &str = "https://spdx.dev/Document";
/// How much is read of Debian's list of packages, in bytes.
const MAX_STATUS: u64 = 64 << 20;
/// Where dpkg keeps it.
const STATUS: &str = "/var/lib/dpkg/status";

/// An image that documents are about.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The revision of the catalog that the image was made from.
    pub snapshot: &'a Snapshot,
    /// The layer.
    pub layer: &'a LayerName,
    /// The image's name.
    pub image: &'a ImageRef,
    /// The image.
    pub digest: &'a Digest,
}

/// Why there is no SBOM.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// The image can't be read.
    #[error(transparent)]
    Engine(#[from] SolveError),
    /// The registry can't be asked, or does not take the document.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Something that is in an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// <https://github.com/package-url/purl-spec>
    purl: String,
    /// The SHA-256 of what it was made from, in hexadecimal digits.
    checksum: Option<String>,
}

/// Reads what is in an image, and keeps it in the image's repository, as a referrer and under the tag `sbom-` and 20
/// digits of the image's digest. An older one is replaced.
///
/// # Errors
/// When the image can't be read, or the registry does not take the document.
pub async fn inventory(
    registry: &impl Registry,
    engine: &dyn Engine,
    contents: &Contents<'_>,
    now: Timestamp,
    cancel: &CancellationToken,
) -> Result<Digest, SbomError> {
    let Contents { snapshot, layer, image, digest } = *contents;
    let mut packages = crates(snapshot, layer);
    for platform in snapshot.layer(layer).map(|layer| &*layer.build.platforms).unwrap_or_default() {
        // What can't be read has no packages that could be named.
        let status = extract(engine, (image, digest), platform, STATUS, MAX_STATUS, cancel).await?.unwrap_or_default();
        packages.extend(debian(&String::from_utf8_lossy(&status)));
    }
    packages.sort();
    packages.dedup();
    let digits = digest.as_str().trim_start_matches("sha256:");
    let place = image.with_tag(&format!("sbom-{}", &digits[..20])).expect("`sbom-` and digits are a tag");
    let manifest = registry.raw(image, Some(digest)).await?;
    let document = Document {
        artifact_type: MEDIA_TYPE,
        media_type: MEDIA_TYPE,
        content: statement(image, digest, PREDICATE, spdx(image, digest, &packages, now)).to_string().into_bytes(),
        annotations: [
            ("in-toto.io/predicate-type", PREDICATE.to_owned()),
            ("org.opencontainers.image.created", now.to_string()),
        ]
        .into(),
        replaces: false,
    };
    Ok(artifact::push(registry, &manifest, &place, document).await?)
}

/// The packages that dpkg has installed: paragraphs of `Field: value`, as deb-control(5) has them.
fn debian(status: &str) -> Vec<Package> {
    let package = |paragraph: &str| {
        let field = |name: &str| {
            let value = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(|value| value.trim().to_owned())
        };
        field("Status").filter(|status| status.ends_with(" installed"))?;
        let (name, version) = (field("Package")?, field("Version")?);
        let arch = field("Architecture").unwrap_or_default();
        let purl = format!("pkg:deb/debian/{}@{}?arch={}", encoded(&name), encoded(&version), encoded(&arch));
        Some(Package { name, version, purl, checksum: None })
    };
    status.split("\n\n").filter_map(package).collect()
}

/// The crates that were cooked into the layer's image, and into those that it stands on.
fn crates(snapshot: &Snapshot, layer: &LayerName) -> Vec<Package> {
    let below = snapshot.graph.ancestors(layer, &[EdgeKind::Runtime]);
    let cooked = std::iter::once(layer).chain(below).filter_map(|name| snapshot.layer(name)?.cooked.as_ref());
    let lock = |path: &RelPath| {
        let file = snapshot.catalog.files.text(&path.join("Cargo.lock").ok()?).ok()??;
        file.text.parse::<cargo_lock::Lockfile>().ok()
    };
    let locks = cooked.filter_map(|cooked| lock(&cooked.path));
    // What has no source is the set's own manifest: nothing of it is in the image.
    let packages = locks.flat_map(|lock| lock.packages).filter(|package| package.source.is_some());
    let package = |package: cargo_lock::Package| {
        let (name, version) = (package.name.to_string(), package.version.to_string());
        let purl = format!("pkg:cargo/{}@{}", encoded(&name), encoded(&version));
        Package { name, version, purl, checksum: package.checksum.map(|checksum| checksum.to_string()) }
    };
    packages.map(package).collect()
}

/// A part of a package URL.
fn encoded(text: &str) -> String {
    const PLAIN: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');
    percent_encoding::utf8_percent_encode(text, &PLAIN).to_string()
}

/// <https://spdx.github.io/spdx-spec/v2.3/>
fn spdx(image: &ImageRef, digest: &Digest, packages: &[Package], now: Timestamp) -> Value {
    let name = format!("{}/{}", image.registry(), image.repository());
    let hex = digest.as_str().trim_start_matches("sha256:");
    let described = json!({
        "SPDXID": "SPDXRef-Image",
        "name": name,
        "versionInfo": digest,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{ "algorithm": "SHA256", "checksumValue": hex }],
    });
    let contained = packages.iter().enumerate().map(|(number, package)| {
        let mut value = json!({
            "SPDXID": format!("SPDXRef-Package-{number}"),
            "name": package.name,
            "versionInfo": package.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package.purl,
            }],
        });
        if let Some(checksum) = &package.checksum {
            value["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": checksum }]);
        }
        value
    });
    let relation = |from: &str, kind: &str, to: &str| {
        let mut relation = BTreeMap::from([("spdxElementId", from), ("relatedSpdxElement", to)]);
        relation.insert("relationshipType", kind);
        json!(relation)
    };
    let contains =
        (0..packages.len()).map(|number| relation("SPDXRef-Image", "CONTAINS", &format!("SPDXRef-Package-{number}")));
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{name}@{digest}"),
        "documentNamespace": format!("urn:lamina:sbom:{hex}:{}", now.as_millisecond()),
        "creationInfo": {
            "created": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "creators": [format!("Tool: lamina-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": std::iter::once(described).chain(contained).collect::<Vec<_>>(),
        "relationships": std::iter::once(relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image"))
            .chain(contains)
            .collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::debian;

    #[test]
    fn only_what_is_installed_is_in_the_image() {
        let status = "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                      Package: libc6\nStatus: install ok installed\nVersion: 1:2.41-12+b1\nArchitecture: amd64\n\
                      Description: Version of something: else\n Version: 9\n\nrubbish";
        let purls: Vec<String> = debian(status).into_iter().map(|package| package.purl).collect();
        assert_eq!(purls, ["pkg:deb/debian/libc6@1:2.41-12%2Bb1?arch=amd64"]);
    }
}
