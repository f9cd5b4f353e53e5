//! Tags for people, in a real registry.

use lamina::model::{Digest, ImageRef};
use lamina::publish::{Moved, PromoteError, promote, record};
use lamina::registry::{self, Registry};
use serde_json::json;

use crate::lab::{Declared, Place, proof};

async fn moved(
    place: &Place,
    image: &ImageRef,
    digest: &Digest,
    tags: &[&str],
    declared: &Declared,
) -> Result<Vec<(String, Option<Digest>)>, PromoteError> {
    let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
    let mut all = Vec::new();
    let mut tell = |moved: Moved| all.push((moved.tag.tag().to_owned(), moved.before));
    promote(&place.registries, image, digest, &tags, &declared.probes(), async || Ok(()), &mut tell).await?;
    Ok(all)
}

fn with_a_probe() -> Declared {
    Declared::nothing().tool("t", &["true"], None)
}

#[test]
fn tags_move_once_and_to_proven_images_only() {
    let Some(place) = Place::find("tags_move_once_and_to_proven_images_only") else { return };
    let image = place.image("layer");
    let declared = with_a_probe();
    let tags = ["1.0", "latest"];
    registry::block_on(async {
        let [old, new] = [place.push(&image, "old").await, place.push(&image, "new").await];
        let error = moved(&place, &image, &old, &tags, &declared).await.unwrap_err();
        let expected =
            format!("{image}@{} is not proven, so no tag moves to it: the registry has no tag proof-", old.short());
        assert!(error.to_string().starts_with(&expected), "{error}");
        let latest = image.with_tag("latest").unwrap();
        assert!(place.registries.digest(&latest).await.is_err(), "nothing was moved");

        record(&place.registries, &image, &proof(&old)).await.unwrap();
        let both = [("1.0".to_owned(), None), ("latest".to_owned(), None)];
        assert_eq!(moved(&place, &image, &old, &tags, &declared).await.unwrap(), both);
        assert_eq!(moved(&place, &image, &old, &tags, &declared).await.unwrap(), []);
        assert_eq!(place.registries.digest(&latest).await.unwrap(), old);

        record(&place.registries, &image, &proof(&new)).await.unwrap();
        let one = [("latest".to_owned(), Some(old.clone()))];
        assert_eq!(moved(&place, &image, &new, &["latest"], &declared).await.unwrap(), one);
        assert_eq!(place.registries.digest(&latest).await.unwrap(), new);
        assert_eq!(place.registries.digest(&image.with_tag("1.0").unwrap()).await.unwrap(), old);
        assert_eq!(moved(&place, &image, &new, &[], &declared).await.unwrap(), []);
    })
    .unwrap();
}

#[test]
fn an_image_without_probes_needs_no_proof() {
    let Some(place) = Place::find("an_image_without_probes_needs_no_proof") else { return };
    let image = place.image("layer");
    registry::block_on(async {
        let digest = place.push(&image, "content").await;
        let all = moved(&place, &image, &digest, &["latest"], &Declared::nothing()).await.unwrap();
        assert_eq!(all, [("latest".to_owned(), None)]);
        let error = moved(&place, &image, &digest, &["no tag"], &Declared::nothing()).await.unwrap_err();
        assert!(matches!(error, PromoteError::Tag(_)), "{error}");
    })
    .unwrap();
}

#[test]
fn all_platforms_move_at_once() {
    let Some(place) = Place::find("all_platforms_move_at_once") else { return };
    let image = place.image("layer");
    registry::block_on(async {
        let mut members = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let member = place.push(&image.with_tag(architecture).unwrap(), architecture).await;
            let raw = place.registries.raw(&image, Some(&member)).await.unwrap();
            members.push(json!({
                "mediaType": raw.media_type, "digest": member, "size": raw.bytes.len(),
                "platform": { "os": "linux", "architecture": architecture },
            }));
        }
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": members }).to_string();
        let digest = place.registries.push_manifest(&image, media_type, index.into_bytes()).await.unwrap().digest;
        moved(&place, &image, &digest, &["latest"], &Declared::nothing()).await.unwrap();
        let latest = place.registries.manifest(&image.with_tag("latest").unwrap()).await.unwrap();
        assert_eq!((latest.digest, latest.platforms.len()), (digest, 2));
    })
    .unwrap();
}

#[test]
fn two_who_promote_at_once_agree() {
    let Some(place) = Place::find("two_who_promote_at_once_agree") else { return };
    let image = place.image("layer");
    let declared = with_a_probe();
    registry::block_on(async {
        let digest = place.push(&image, "content").await;
        record(&place.registries, &image, &proof(&digest)).await.unwrap();
        let (one, two) = tokio::join!(
            moved(&place, &image, &digest, &["a", "b"], &declared),
            moved(&place, &image, &digest, &["b", "a"], &declared)
        );
        let told: usize = [one.unwrap(), two.unwrap()].iter().map(Vec::len).sum();
        assert!((2..=4).contains(&told), "each tag was moved by one of them at least");
        for tag in ["a", "b"] {
            assert_eq!(place.registries.digest(&image.with_tag(tag).unwrap()).await.unwrap(), digest);
        }
        assert_eq!(moved(&place, &image, &digest, &["a", "b"], &declared).await.unwrap(), []);
    })
    .unwrap();
}

#[test]
fn what_the_registry_lost_is_not_promoted() {
    let Some(place) = Place::find("what_the_registry_lost_is_not_promoted") else { return };
    let image = place.image("layer");
    registry::block_on(async {
        place.push(&image, "something else").await;
        let lost: Digest = format!("sha256:{}", "2".repeat(64)).parse().unwrap();
        let error = moved(&place, &image, &lost, &["latest"], &Declared::nothing()).await.unwrap_err();
        assert!(matches!(error, PromoteError::Registry(_)), "{error}");
        assert!(place.registries.digest(&image.with_tag("latest").unwrap()).await.is_err());
    })
    .unwrap();
}
