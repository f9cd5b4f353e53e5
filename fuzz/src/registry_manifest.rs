//! Bodies of registries: in the first byte which content type comes with it, then the body.

use lamina::model::is_tag;
use lamina::registry::{Content, WireError, parse_config, parse_content, parse_manifest, parse_tags};
use lamina::tree::sha256;
use serde_json::Value;

const TYPES: [Option<&str>; 6] = [
    None,
    Some("application/json; charset=utf-8"),
    Some("application/vnd.oci.image.index.v1+json"),
    Some("application/vnd.docker.distribution.manifest.list.v2+json; a=b"),
    Some("application/vnd.oci.image.manifest.v1+json"),
    Some("application/vnd.docker.distribution.manifest.v2+json"),
];

/// Longer than anything that is said of a body, with 80 characters of it written as `\u{10ffff}`; far shorter than one.
const MAX_ERROR: usize = 1000;

pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let number = usize::from(*first) % TYPES.len();
    match parse_manifest(body, TYPES[number]) {
        Ok(manifest) => {
            let hex: String = sha256(body).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(manifest.digest.as_str(), format!("sha256:{hex}"));
            // What nobody reads is not looked at: a text there may be no UTF-8, a number too large.
            let Ok(json) = serde_json::from_slice::<Value>(body) else { return };
            let has = |field: &str| json.get(field).is_some_and(|value| !value.is_null());
            assert_eq!(json["schemaVersion"], 2);
            assert!(has("manifests") != (has("config") && has("layers")), "{json}");
            assert!(!(has("manifests") && (has("config") || has("layers"))), "{json}");
            assert!(number < 2 || has("manifests") == (number < 4), "{json}");
            for (platform, digest) in &manifest.platforms {
                assert_eq!(platform.as_str().parse().as_ref(), Ok(platform));
                assert_ne!(platform.as_str(), "unknown/unknown");
                let entries = json["manifests"].as_array().into_iter().flatten();
                assert!(entries.into_iter().any(|entry| entry["digest"] == digest.as_str()), "{json}");
            }
        }
        Err(error) => is_fit_for_a_terminal(&error),
    }
    match parse_content(body) {
        Ok(content) => {
            let manifest = parse_manifest(body, None).unwrap();
            let Ok(json) = serde_json::from_slice::<Value>(body) else { return };
            match content {
                Content::Index { platforms } => assert_eq!(platforms, manifest.platforms),
                Content::Manifest { config, layers } => {
                    assert_eq!(json["config"]["digest"], config.digest.as_str());
                    let named = json["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
                    assert_eq!(named.len(), layers.len());
                    for (named, layer) in named.iter().zip(layers) {
                        assert_eq!(
                            (&named["digest"], &named["size"]),
                            (&layer.digest.as_str().into(), &layer.size.into())
                        );
                    }
                }
            }
        }
        Err(error) => is_fit_for_a_terminal(&error),
    }
    match parse_config(body) {
        Ok(config) => {
            let Ok(json) = serde_json::from_slice::<Value>(body) else { return };
            for (name, value) in &config.labels {
                assert_eq!(json["config"]["Labels"][name], value.as_str());
            }
            if let Some(platform) = config.platform {
                let named = format!("{}/{}", json["os"].as_str().unwrap(), json["architecture"].as_str().unwrap());
                assert!(platform.as_str().starts_with(&named), "{json}");
            }
        }
        Err(error) => is_fit_for_a_terminal(&error),
    }
    match parse_tags(body) {
        Ok(tags) => {
            let Ok(json) = serde_json::from_slice::<Value>(body) else { return };
            let named = json["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
            let expected: Vec<&str> = named.iter().filter_map(Value::as_str).filter(|tag| is_tag(tag)).collect();
            assert_eq!(tags, expected);
        }
        Err(error) => is_fit_for_a_terminal(&error),
    }
}

fn is_fit_for_a_terminal(error: &WireError) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.len() <= MAX_ERROR, "{} bytes: {text:?}", text.len());
}
