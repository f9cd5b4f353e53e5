//! Foreign bytes and texts: read as the specifications say, and never a panic.

use std::time::{Duration, SystemTime};

use lamina::model::{Digest, Platform};
use lamina::registry::{
    Challenge, Config, Content, Descriptor, parse_challenges, parse_config, parse_content, parse_manifest,
    parse_next_link, parse_retry_after, parse_tags,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{good, sha256, truth};

fn bearer(realm: &str, service: Option<&str>) -> Challenge {
    Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
}

#[test]
fn challenges() {
    assert_eq!(
        parse_challenges(
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull\""
        ),
        [bearer("https://auth.docker.io/token", Some("registry.docker.io"))]
    );
    assert_eq!(
        parse_challenges("basic realm=\"a, b\", BEARER Realm=\"say \\\"x\\\"\", Digest nonce=\"n\""),
        [Challenge::Basic, bearer("say \"x\"", None)]
    );
    assert_eq!(parse_challenges("Basic realm=\"r\", Bearer realm=\"unfinished"), [Challenge::Basic]);
    assert_eq!(parse_challenges(""), []);
}

#[test]
fn links() {
    let next = |text: &str| parse_next_link(text).unwrap();
    assert_eq!(
        next("</v2/a/tags/list?last=x%2Cy&n=2>; rel=\"next\""),
        Some("/v2/a/tags/list?last=x%2Cy&n=2".to_owned())
    );
    assert_eq!(next("<a,b;c?d>; rel=next"), Some("a,b;c?d".to_owned()));
    assert_eq!(next("<a>; rel=prev, <b>; title=\"x, <c>; rel=next \\\" y\"; rel=\"start NEXT\""), Some("b".to_owned()));
    assert_eq!(next("<a>; rel=\"prev\" , , <b>;; anchor;rel=next"), Some("b".to_owned()));
    assert_eq!(next("<a>; title=\"; rel=next\""), None);
    assert_eq!(next("<a>; rel=nextish"), None);
    assert_eq!(next(""), None);
    assert!(parse_next_link("a; rel=next").is_err());
    assert!(parse_next_link("<a; rel=next").is_err());
}

#[test]
fn waits() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let seconds = |text: &str| parse_retry_after(text, now).map(|time| time.as_secs());
    assert_eq!(seconds("120"), Some(120));
    assert_eq!(seconds(" 0 "), Some(0));
    assert_eq!(seconds("18446744073709551616"), Some(u64::MAX));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
    assert_eq!(seconds("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
    assert_eq!(seconds("Sun Nov  6 08:50:37 1994"), Some(60));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
    for text in ["", "-1", "1.5", "+1", "tomorrow", "Sun, 31 Feb 1994 08:49:37 GMT", "١"] {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[test]
fn a_list_is_no_object() {
    let [config, layers] = [r#"["sha256:0", 1]"#, r#"[["sha256:0", 1]]"#];
    assert!(parse_tags(br#"[["linux"]]"#).is_err());
    assert!(parse_manifest(format!("[2, null, {config}, {layers}, null]").as_bytes(), None).is_err());
    let body = format!(r#"{{"schemaVersion": 2, "config": {config}, "layers": []}}"#);
    assert!(parse_manifest(body.as_bytes(), None).is_err());
    let body = format!(r#"{{"schemaVersion": 2, "manifests": [["{}", ["linux", "amd64", null]]]}}"#, sha256(b""));
    assert!(parse_manifest(body.as_bytes(), None).is_err());
}

/// The platforms of an index with these entries; each one's digest is that of its place.
fn platforms(entries: &[Value]) -> Vec<(String, usize)> {
    let digest = |place: usize| sha256(place.to_string().as_bytes());
    let entry = |(place, platform): (usize, &Value)| json!({"digest": digest(place), "size": 1, "platform": platform});
    let entries: Vec<Value> = entries.iter().enumerate().map(entry).collect();
    let body = json!({"schemaVersion": 2, "manifests": entries}).to_string();
    let place = |found: &Digest| (0..entries.len()).find(|place| digest(*place) == found.as_str()).unwrap();
    let found = parse_manifest(body.as_bytes(), None).unwrap().platforms;
    found.iter().map(|(platform, digest): (&Platform, &Digest)| (platform.to_string(), place(digest))).collect()
}

#[test]
fn platforms_of_an_index() {
    let found = platforms(&[
        json!({"os": "linux", "architecture": "amd64"}),
        json!({"os": "linux", "architecture": "arm", "variant": "v7"}),
        json!({"os": "linux", "architecture": "arm64", "variant": "v8"}),
        json!({"os": "unknown", "architecture": "unknown"}),
        json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"}),
        json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1"}),
        json!({"os": "linux", "architecture": "amd64", "variant": "v1"}),
        json!({"os": "linux", "architecture": "amd64", "variant": "v3"}),
        json!({"os": "Linux", "architecture": "../.."}),
        json!({}),
        Value::Null,
    ]);
    let expected =
        [("linux/amd64", 0), ("linux/amd64/v3", 7), ("linux/arm/v7", 1), ("linux/arm64", 2), ("windows/amd64", 4)];
    assert_eq!(found, expected.map(|(platform, place)| (platform.to_owned(), place)));
}

#[test]
fn media_types_may_be_general_but_not_contradict() {
    for general in [None, Some("application/json"), Some("text/plain; charset=utf-8"), Some("")] {
        assert_eq!(parse_manifest(&good(), general).unwrap(), truth());
    }
    let exact = "application/vnd.docker.distribution.manifest.v2+json; charset=utf-8";
    assert_eq!(parse_manifest(&good(), Some(exact)).unwrap(), truth());
    assert!(parse_manifest(&good(), Some("application/vnd.docker.distribution.manifest.list.v2+json")).is_err());
}

/// JSON that comes close to a manifest or a list of tags.
fn close() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        Just(json!(2)),
        ".{0,12}".prop_map(Value::from),
        Just(json!(sha256(b""))),
        Just(json!("linux")),
    ];
    let key = prop::sample::select(vec![
        "schemaVersion",
        "mediaType",
        "manifests",
        "config",
        "layers",
        "digest",
        "size",
        "platform",
        "os",
        "architecture",
        "variant",
        "tags",
        "name",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..7).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
        let _ = parse_manifest(&bytes, Some(&text));
        let _ = parse_tags(&bytes);
        let _ = parse_challenges(&text);
        let _ = parse_next_link(&text);
        let _ = parse_retry_after(&text, SystemTime::now());
    }

    #[test]
    fn no_header_makes_a_parser_panic(text in "[<>;,=\"\\\\ a-zA-Z0-9/?%-]{0,60}") {
        let _ = parse_challenges(&text);
        let _ = parse_retry_after(&text, SystemTime::now());
        if let Ok(Some(next)) = parse_next_link(&text) {
            prop_assert!(text.contains(&next));
        }
    }

    #[test]
    fn what_is_read_is_of_the_bytes(value in close()) {
        let bytes = value.to_string().into_bytes();
        if let Ok(manifest) = parse_manifest(&bytes, None) {
            prop_assert_eq!(manifest.digest.as_str(), sha256(&bytes));
            prop_assert_eq!(&value["schemaVersion"], &json!(2));
        }
        if let Ok(tags) = parse_tags(&bytes) {
            let listed: Vec<&str> = value["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            prop_assert!(tags.iter().all(|tag| listed.contains(&tag.as_str())));
        }
    }

    #[test]
    fn a_link_is_read_as_it_was_written(target in "[a-z0-9/?=&,;%.-]{1,30}", title in "[a-z,;<> ]{0,20}") {
        let text = format!("<x>; rel=prev; title=\"{title}\", <{target}>; title=\"{title}\"; rel=\"next\"");
        prop_assert_eq!(parse_next_link(&text).unwrap(), Some(target));
    }
}

#[test]
fn what_a_manifest_holds() {
    let part = |content: &[u8], size| Descriptor { digest: sha256(content).parse().unwrap(), size };
    let expected = Content::Manifest { config: part(b"config", 6), layers: vec![part(b"layer", 5)] };
    assert_eq!(parse_content(&good()).unwrap(), expected);
    let entry = json!({"digest": sha256(b""), "platform": {"os": "linux", "architecture": "amd64"}});
    let index = json!({"schemaVersion": 2, "manifests": [entry, {"digest": "sha512:0"}]});
    let platforms = [("linux/amd64".parse().unwrap(), sha256(b"").parse().unwrap())].into();
    assert_eq!(parse_content(index.to_string().as_bytes()).unwrap(), Content::Index { platforms });
    let odd = json!({"schemaVersion": 2, "config": {"digest": "md5:\u{9b}", "size": 1}, "layers": []});
    let why = parse_content(odd.to_string().as_bytes()).unwrap_err().to_string();
    assert_eq!(why, "a part of it has no SHA-256 digest, but `md5:\\u{9b}`");
    for size in ["-1", "1.5", "\"1\"", "null", "99999999999999999999"] {
        let text = format!(r#"{{"schemaVersion": 2, "config": {{"digest": "a", "size": {size}}}, "layers": []}}"#);
        assert!(parse_content(text.as_bytes()).is_err(), "{size}");
    }
}

#[test]
fn configurations() {
    let read = |value: &Value| parse_config(value.to_string().as_bytes());
    assert_eq!(read(&json!({})).unwrap(), Config::default());
    assert_eq!(read(&json!({"config": null, "created": null, "variant": null})).unwrap(), Config::default());
    assert_eq!(read(&json!({"config": {"Labels": null}, "created": "yesterday"})).unwrap(), Config::default());
    let full = json!({
        "os": "linux", "architecture": "arm", "variant": "v7", "created": "2026-11-21T18:00:00.5+01:00",
        "config": {"Labels": {"b": "2", "a": ""}, "Env": ["PATH=/bin"]}, "history": [{"comment": "c"}],
    });
    let config = read(&full).unwrap();
    assert_eq!(config.platform.unwrap().as_str(), "linux/arm/v7");
    assert_eq!(config.created.unwrap().to_string(), "2026-11-21T17:00:00.5Z");
    assert_eq!(config.labels.into_iter().collect::<Vec<_>>(), [("a".into(), "".into()), ("b".into(), "2".into())]);
    for wrong in [json!([]), json!(1), json!({"config": []}), json!({"config": {"Labels": {"a": 1}}}), json!({"os": 1})]
    {
        let why = read(&wrong).unwrap_err().to_string();
        assert!(why.starts_with("it is no image configuration (line 1, column "), "{why}");
    }
}
