//! Proofs in a registry: kept, found, and listed with the image.

use std::time::Duration;

use lamina::model::{Digest, ImageRef};
use lamina::publish::{self, is_proven, record, recorded};
use lamina::registry::{self, Options, Registry, RegistryErrorKind};
use serde_json::{Value, json};

use crate::lab::{MANIFEST, Place, proof};

/// The list of what refers to an image, as any client finds it in a registry without the referrers API.
async fn referrers(place: &Place, image: &ImageRef, digest: &Digest) -> Vec<Value> {
    let list = image.with_tag(&digest.as_str().replace(':', "-")).unwrap();
    let raw = place.registries.raw(&list, None).await.unwrap();
    let index: Value = serde_json::from_slice(&raw.bytes).unwrap();
    assert_eq!(raw.media_type, "application/vnd.oci.image.index.v1+json");
    index["manifests"].as_array().unwrap().clone()
}

#[test]
fn a_proof_is_kept_and_found() {
    let Some(place) = Place::find("a_proof_is_kept_and_found") else { return };
    let image = place.image("layer");
    registry::block_on(async {
        let registries = &place.registries;
        let digest = place.push(&image, "proven").await;
        assert!(!is_proven(registries, &image, &digest).await.unwrap());
        assert_eq!(recorded(registries, &image, &digest).await.unwrap(), None);

        let proof = proof(&digest);
        let at = record(registries, &image, &proof).await.unwrap();
        assert!(is_proven(registries, &image, &digest).await.unwrap());
        assert_eq!(recorded(registries, &image, &digest).await.unwrap(), Some(proof.clone()));
        let other = place.push(&image, "another image").await;
        assert!(!is_proven(registries, &image, &other).await.unwrap());

        // As another program finds it.
        let manifest = registries.raw(&image, Some(&at)).await.unwrap();
        let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        assert_eq!(manifest["artifactType"], "application/vnd.lamina.proof.v1+json");
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
        let subject = registries.raw(&image, Some(&digest)).await.unwrap();
        let expected = json!({ "mediaType": MANIFEST, "digest": digest, "size": subject.bytes.len() });
        assert_eq!(manifest["subject"], expected);
        let listed = referrers(&place, &image, &digest).await;
        assert_eq!(listed.len(), 1);
        assert_eq!((&listed[0]["digest"], &listed[0]["artifactType"]), (&json!(at), &manifest["artifactType"]));
        assert_eq!(listed[0]["annotations"]["dev.lamina.layer"], "layer");

        // The same once more changes nothing, and a later proof stands in its place.
        assert_eq!(record(registries, &image, &proof).await.unwrap(), at);
        assert_eq!(referrers(&place, &image, &digest).await.len(), 1);
        let later = publish::Proof { created: proof.created + Duration::from_secs(60), ..proof };
        record(registries, &image, &later).await.unwrap();
        assert_eq!(recorded(registries, &image, &digest).await.unwrap(), Some(later.clone()));
        let listed = referrers(&place, &image, &digest).await;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["annotations"]["org.opencontainers.image.created"], later.created.to_string());
    })
    .unwrap();
}

#[test]
fn two_who_record_at_once_leave_a_proof() {
    let Some(place) = Place::find("two_who_record_at_once_leave_a_proof") else { return };
    let image = place.image("layer");
    registry::block_on(async {
        let digest = place.push(&image, "proven").await;
        let one = proof(&digest);
        let two = publish::Proof { created: one.created + Duration::from_secs(1), ..one.clone() };
        let (first, second) =
            tokio::join!(record(&place.registries, &image, &one), record(&place.registries, &image, &two));
        let proofs = [first.unwrap(), second.unwrap()];
        let listed = referrers(&place, &image, &digest).await;
        assert!(!listed.is_empty() && listed.len() <= 2, "{listed:?}");
        assert!(listed.iter().all(|entry| proofs.iter().any(|at| entry["digest"] == json!(at))), "{listed:?}");
        let kept = recorded(&place.registries, &image, &digest).await.unwrap().unwrap();
        assert!(kept == one || kept == two, "{kept:?}");
    })
    .unwrap();
}

#[test]
fn what_others_list_stays() {
    let Some(place) = Place::find("what_others_list_stays") else { return };
    let image = place.image("layer");
    registry::block_on(async {
        let registries = &place.registries;
        let digest = place.push(&image, "proven").await;
        let list = image.with_tag(&digest.as_str().replace(':', "-")).unwrap();
        let other = place.push(&image.with_tag("signature").unwrap(), "a signature").await;
        let size = registries.raw(&image, Some(&other)).await.unwrap().bytes.len();
        let entry = json!({
            "mediaType": MANIFEST, "digest": other, "size": size, "artifactType": "application/x", "more": ["kept"],
        });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
        let media_type = "application/vnd.oci.image.index.v1+json";
        registries.push_manifest(&list, media_type, index.into_bytes()).await.unwrap();
        record(registries, &image, &proof(&digest)).await.unwrap();
        let listed = referrers(&place, &image, &digest).await;
        assert_eq!((listed.len(), &listed[0]), (2, &entry));
        // Under the name of the list stands something else.
        place.push(&list, "an image").await;
        let error = record(registries, &image, &proof(&digest)).await.unwrap_err();
        assert!(error.to_string().ends_with("it is a list of referrers by its name, and no index"), "{error}");
    })
    .unwrap();
}

#[test]
fn what_is_no_proof_of_the_image_is_none() {
    let Some(place) = Place::find("what_is_no_proof_of_the_image_is_none") else { return };
    let image = place.image("layer");
    registry::block_on(async {
        let registries = &place.registries;
        let [digest, other] = [place.push(&image, "one").await, place.push(&image, "two").await];
        record(registries, &image, &proof(&other)).await.unwrap();
        // Somebody puts the proof of one image where that of another would be, or something else altogether.
        let tag = |digest: &Digest| image.with_tag(&lamina::snapshot::Probes::tag(digest)).unwrap();
        let foreign = registries.raw(&tag(&other), None).await.unwrap();
        registries.push_manifest(&tag(&digest), MANIFEST, foreign.bytes).await.unwrap();
        let error = recorded(registries, &image, &digest).await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("it proves {other}, and not {digest}")), "{error}");
        place.push(&tag(&digest), "an image").await;
        let error = recorded(registries, &image, &digest).await.unwrap_err();
        assert!(matches!(error.kind, RegistryErrorKind::Malformed { .. }), "{error}");
        let text = registries.push_blob(&image, b"[\x1b]".to_vec()).await.unwrap().digest;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": "a/b", "digest": text, "size": 3 },
            "layers": [{ "mediaType": "a/b", "digest": text, "size": 3 }],
        });
        registries.push_manifest(&tag(&digest), MANIFEST, manifest.to_string().into_bytes()).await.unwrap();
        let error = recorded(registries, &image, &digest).await.unwrap_err().to_string();
        assert!(error.ends_with("it is no proof that can be read (line 1, column 2)"), "{error}");
    })
    .unwrap();
}

#[test]
fn a_registry_that_is_not_there_is_no_proof_and_no_missing_one() {
    let options = Options { plain_http: ["127.0.0.1:1".to_owned()].into(), ..Options::default() };
    let options = Options { retry: registry::RetryPolicy { attempts: 1, ..options.retry.clone() }, ..options };
    let registries = registry::open(&options).unwrap();
    let image: ImageRef = "127.0.0.1:1/a/b:1".parse().unwrap();
    let digest: Digest = format!("sha256:{}", "1".repeat(64)).parse().unwrap();
    registry::block_on(async {
        assert!(is_proven(&registries, &image, &digest).await.is_err());
        assert!(recorded(&registries, &image, &digest).await.is_err());
        assert!(record(&registries, &image, &proof(&digest)).await.is_err());
    })
    .unwrap();
}
