//! Content and manifests that are written: to real registries, and to servers that fail, lie, stall or send elsewhere.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lamina::model::{Digest, ImageRef};
use lamina::registry::{self, Logins, Options, Pushed, RawManifest, Registry, RegistryError, RegistryErrorKind};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use crate::common::{MANIFEST, good, image, plain, quick, served, sha256, truth};
use crate::real::{PASSWORD, RealRegistry, USER};
use crate::server::{Reply, Seen, Server};
use crate::tls::Authority;

const BYTES: &[u8] = b"some content";

fn push_blob(options: &Options, image: &ImageRef, bytes: &[u8]) -> Result<Digest, RegistryError> {
    let registries = registry::open(options).unwrap();
    registry::block_on(registries.push_blob(image, bytes.to_vec())).unwrap().map(|blob| blob.digest)
}

fn push_manifest(options: &Options, image: &ImageRef, bytes: &[u8]) -> Result<Pushed, RegistryError> {
    let registries = registry::open(options).unwrap();
    registry::block_on(registries.push_manifest(image, MANIFEST, bytes.to_vec())).unwrap()
}

fn raw(options: &Options, image: &ImageRef, digest: Option<&Digest>) -> Result<RawManifest, RegistryError> {
    let registries = registry::open(options).unwrap();
    registry::block_on(registries.raw(image, digest)).unwrap()
}

fn blob(options: &Options, image: &ImageRef, digest: &Digest, limit: usize) -> Result<Vec<u8>, RegistryError> {
    let registries = registry::open(options).unwrap();
    registry::block_on(registries.blob(image, digest, limit)).unwrap()
}

fn digest_of(bytes: &[u8]) -> Digest {
    sha256(bytes).parse().unwrap()
}

/// Logs in at a host.
fn login(host: &str) -> (TempDir, Logins) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.json");
    let entry = json!({"auth": STANDARD.encode(format!("{USER}:{PASSWORD}"))});
    fs::write(&file, json!({"auths": {host: entry}}).to_string()).unwrap();
    (folder, Logins { docker: Some(file), ..Logins::none() })
}

/// Pushes an image of two layers, under two tags, and reads all of it back.
fn there_and_back(options: &Options, host: &str, name: &str) {
    let (one, two) = (image(host, &format!("{name}:one")), image(host, &format!("{name}:two")));
    let config = json!({
        "os": "linux", "architecture": "arm64", "variant": "v8", "created": "2026-11-21T18:00:00Z",
        "config": {"Labels": {"a": "b"}}, "rootfs": {"type": "layers", "diff_ids": []},
    });
    let config = config.to_string().into_bytes();
    registry::block_on(async {
        let registries = registry::open(options).unwrap();
        let pushed = [
            registries.push_blob(&one, config.clone()).await.unwrap().digest,
            registries.push_blob(&one, b"first layer".to_vec()).await.unwrap().digest,
            registries.push_blob(&one, b"second".to_vec()).await.unwrap().digest,
        ];
        let again = registries.push_blob(&one, config.clone()).await.unwrap();
        assert!(!again.is_new);
        assert_eq!(again.digest, digest_of(&config));
        let layer = |digest: &Digest, size: usize| {
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size})
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": pushed[0], "size": config.len()},
            "layers": [layer(&pushed[1], 11), layer(&pushed[2], 6), layer(&pushed[1], 11)],
        });
        let manifest = manifest.to_string().into_bytes();
        for tag in [&one, &two, &one] {
            let pushed = registries.push_manifest(tag, MANIFEST, manifest.clone()).await.unwrap();
            assert_eq!(pushed.digest, digest_of(&manifest));
            assert_eq!(registries.digest(tag).await.unwrap(), pushed.digest);
        }
        let expected = RawManifest { digest: digest_of(&manifest), media_type: MANIFEST.to_owned(), bytes: manifest };
        assert_eq!(registries.raw(&two, None).await.unwrap(), expected);
        assert_eq!(registries.raw(&one, Some(&expected.digest)).await.unwrap(), expected);
        assert_eq!(registries.blob(&one, &pushed[1], 11).await.unwrap(), b"first layer");
        let platforms = registry::platforms(&registries, &one, None).await.unwrap();
        assert_eq!(platforms, ["linux/arm64".parse().unwrap()].into());
        assert_eq!(registry::compressed_size(&registries, &one, Some(&expected.digest)).await.unwrap(), 17);
        let config = registry::config(&registries, &one, &pushed[0]).await.unwrap();
        assert_eq!(config.labels, [("a".to_owned(), "b".to_owned())].into());
        assert_eq!(config.created.unwrap().to_string(), "2026-11-21T18:00:00Z");

        let missing = digest_of(b"nobody pushed it");
        let error = registries.raw(&one, Some(&missing)).await.unwrap_err();
        assert!(matches!(error.kind, RegistryErrorKind::NotFound { .. }), "{error}");
        let error = registries.blob(&one, &missing, 100).await.unwrap_err();
        assert!(matches!(error.kind, RegistryErrorKind::NotFound { .. }), "{error}");
        let error = registries.blob(&one, &pushed[1], 10).await.unwrap_err();
        assert!(error.to_string().ends_with("it is larger than 10 bytes"), "{error}");
        let broken = registries.push_manifest(&one, MANIFEST, good()).await.unwrap_err();
        assert!(matches!(broken.kind, RegistryErrorKind::Server { status: 400 | 404, .. }), "{broken}");
    })
    .unwrap();
}

#[test]
fn what_is_pushed_can_be_read() {
    let Ok(host) = std::env::var("LAMINA_LAB_REGISTRY") else {
        return eprintln!("what_is_pushed_can_be_read is skipped: LAMINA_LAB_REGISTRY names no registry");
    };
    there_and_back(&plain(&[&host]), &host, &format!("lamina-tests/push-{}", std::process::id()));
}

#[test]
fn a_login_is_shown_for_what_is_pushed() {
    let Some(real) = RealRegistry::start("a_login_is_shown_for_what_is_pushed", true, None) else { return };
    let (_folder, logins) = login(&real.host);
    there_and_back(&Options { logins, ..plain(&[&real.host]) }, &real.host, "pushed/here");
    let error = push_blob(&plain(&[&real.host]), &image(&real.host, "a/b:1"), b"else").unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Unauthorized { .. }), "{error}");
}

#[test]
fn what_is_pushed_goes_by_tls() {
    let authority = Authority::new();
    let Some(real) = RealRegistry::start("what_is_pushed_goes_by_tls", true, Some(&authority)) else { return };
    let (_folder, logins) = login(&real.host);
    there_and_back(&Options { logins, ..authority.options() }, &real.host, "pushed/here");
}

/// A registry that takes an upload at `location`, and nothing else.
fn uploads_to(location: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |seen, _| match &*seen.method {
        "HEAD" => Reply::new(404, ""),
        "POST" => Reply::new(202, "").header("Location", &location(seen)),
        _ => Reply::new(201, "").header("Docker-Content-Digest", &sha256(seen.body.as_bytes())),
    })
}

#[test]
fn an_upload_goes_on_where_the_registry_says() {
    let digest = digest_of(BYTES);
    let escaped = digest.as_str().replace(':', "%3A");
    let cases = [
        ("/v2/a/b/blobs/uploads/1", format!("/v2/a/b/blobs/uploads/1?digest={escaped}")),
        ("/elsewhere?state=x%2Fy&_s=z%3D", format!("/elsewhere?state=x%2Fy&_s=z%3D&digest={escaped}")),
        ("2?", format!("/v2/a/b/blobs/uploads/2?digest={escaped}")),
        // Behind a proxy that ends TLS, or the other way round, it is spoken to as before.
        ("https://HOST/3", format!("/3?digest={escaped}")),
        ("http://HOST/4", format!("/4?digest={escaped}")),
    ];
    for (location, expected) in cases {
        let server = uploads_to(move |seen| location.replace("HOST", &seen.headers["host"]));
        assert_eq!(push_blob(&plain(&[&server.host]), &image(&server.host, "a/b:1"), BYTES).unwrap(), digest);
        let asked = [
            format!("HEAD /v2/a/b/blobs/{digest}"),
            "POST /v2/a/b/blobs/uploads/".to_owned(),
            format!("PUT {expected}"),
        ];
        assert_eq!(server.asked(), asked);
        let put = &server.seen()[2];
        assert_eq!((put.body.as_bytes(), &*put.headers["content-type"]), (BYTES, "application/octet-stream"));
    }
}

#[test]
fn another_host_gets_an_upload_and_no_login() {
    let storage = Server::start(|_, _| Reply::new(201, ""));
    let place = format!("http://{}/store?signature=s", storage.host);
    let to = place.clone();
    let server = Server::start(move |seen, _| match (&*seen.method, seen.authorization()) {
        (_, None) => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""),
        ("HEAD", _) => Reply::new(404, ""),
        _ => Reply::new(202, "").header("Location", &to),
    });
    let (_folder, logins) = login(&server.host);
    let options = Options { logins, ..plain(&[&server.host, &storage.host]) };
    push_blob(&options, &image(&server.host, "a/b:1"), BYTES).unwrap();
    let seen = storage.seen();
    assert_eq!((seen.len(), &*seen[0].method, seen[0].authorization()), (1, "PUT", None));
    assert!(seen[0].target.starts_with("/store?signature=s&digest=sha256"), "{}", seen[0].target);

    // A host that is not listed for plain HTTP gets nothing, and neither does what is no web address.
    let unlisted = Options { plain_http: [server.host.clone()].into(), ..options };
    let error = push_blob(&unlisted, &image(&server.host, "a/b:1"), BYTES).unwrap_err();
    let expected = format!("it sends its clients to http://{}, which is not encrypted", storage.host);
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert_eq!(storage.seen().len(), 1);
    for (location, expected) in
        [("file:///etc/passwd", "which is no web address"), ("http://me:secret@127.0.0.1:1/", "with a login in it")]
    {
        let server = uploads_to(move |_| location.to_owned());
        let options = plain(&[&server.host, "127.0.0.1:1"]);
        let error = push_blob(&options, &image(&server.host, "a/b:1"), BYTES).unwrap_err();
        assert!(error.to_string().ends_with(expected) && !error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn what_another_host_says_of_an_upload_counts() {
    let storage = Server::start(|_, _| Reply::new(403, ""));
    let place = format!("http://{}/store", storage.host);
    let server = uploads_to(move |_| place.clone());
    let error = push_blob(&plain(&[&server.host, &storage.host]), &image(&server.host, "a/b:1"), BYTES).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Server { status: 403, .. }), "{error}");
}

#[test]
fn a_registry_that_does_not_say_where_an_upload_goes_on_is_named() {
    let server = Server::start(|seen, _| Reply::new(if seen.method == "HEAD" { 404 } else { 202 }, ""));
    let error = push_blob(&plain(&[&server.host]), &image(&server.host, "a/b:1"), BYTES).unwrap_err();
    assert!(error.to_string().ends_with("it does not say where an upload goes on"), "{error}");
    assert_eq!(server.asked().len(), 2, "it is not asked again");
}

#[test]
fn what_is_there_is_not_pushed_again() {
    let server = Server::start(|_, _| Reply::new(200, ""));
    push_blob(&plain(&[&server.host]), &image(&server.host, "a/b:1"), BYTES).unwrap();
    assert_eq!(server.asked(), [format!("HEAD /v2/a/b/blobs/{}", digest_of(BYTES))]);
}

#[test]
fn a_registry_that_says_it_took_something_else_is_not_believed() {
    let other = sha256(b"other");
    let lie = other.clone();
    let server = Server::start(move |_, _| Reply::new(201, "").header("Docker-Content-Digest", &lie));
    let error = push_manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1"), &good()).unwrap_err();
    let expected = format!("it was sent {} and says that it has {other}", truth().digest);
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(matches!(error.kind, RegistryErrorKind::WrongDigest { .. }));
    assert_eq!(server.asked(), ["PUT /v2/a/b/manifests/1", "PUT /v2/a/b/manifests/1"], "it is asked once more");
}

/// So do registries that get the same content from two at once.
#[test]
fn a_write_that_is_refused_is_tried_once_more() {
    let refusals = Arc::new(Mutex::new(1));
    let server = Server::start(move |seen, _| match &*seen.method {
        "HEAD" => Reply::new(404, ""),
        "POST" => Reply::new(202, "").header("Location", "/v2/a/b/blobs/uploads/1"),
        _ if std::mem::take(&mut *refusals.lock().unwrap()) > 0 => Reply::new(400, ""),
        _ => Reply::new(201, ""),
    });
    let image = image(&server.host, "a/b:1");
    assert_eq!(push_blob(&plain(&[&server.host]), &image, BYTES).unwrap(), digest_of(BYTES));
    assert_eq!(server.asked().len(), 6, "the upload begins anew");
    let refuses = Server::start(|_, _| Reply::new(400, ""));
    let image = crate::common::image(&refuses.host, "a/b:1");
    let error = push_manifest(&plain(&[&refuses.host]), &image, &good()).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Server { status: 400, .. }), "{error}");
    assert_eq!(refuses.asked().len(), 2);
}

#[test]
fn a_registry_says_whether_it_lists_referrers() {
    for (lists, subject) in [(false, None), (true, Some(sha256(b"subject")))] {
        let server = Server::start(move |_, _| match &subject {
            Some(subject) => Reply::new(201, "").header("OCI-Subject", subject),
            None => Reply::new(201, ""),
        });
        let pushed = push_manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1"), &good()).unwrap();
        assert_eq!(pushed, Pushed { digest: truth().digest, lists_subject: lists });
    }
}

#[test]
fn bytes_that_are_not_those_of_the_digest_are_refused() {
    let server = Server::start(|seen, _| match seen.target.contains("/blobs/") {
        true => Reply::new(200, "other bytes"),
        false => served(good()),
    });
    let (options, image) = (plain(&[&server.host]), image(&server.host, "a/b:1"));
    let wanted = digest_of(BYTES);
    let error = blob(&options, &image, &wanted, 100).unwrap_err();
    let expected = format!("it announced {wanted} and sent {}", sha256(b"other bytes"));
    assert!(error.to_string().ends_with(&expected), "{error}");
    let error = raw(&options, &image, Some(&wanted)).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::WrongDigest { .. }), "{error}");
    assert_eq!(raw(&options, &image, Some(&truth().digest)).unwrap().bytes, good());
    let asked = format!("GET /v2/a/b/manifests/{}", truth().digest);
    assert_eq!(server.asked().last(), Some(&asked));
}

#[test]
fn content_may_lie_elsewhere_and_gets_no_login_there() {
    let storage = Server::start(|_, _| Reply::new(200, BYTES));
    let place = format!("http://{}/stored", storage.host);
    let server = Server::start(move |seen, _| match seen.authorization() {
        None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""),
        Some(_) => Reply::new(307, "").header("Location", &place),
    });
    let (_folder, logins) = login(&server.host);
    let options = Options { logins, ..plain(&[&server.host, &storage.host]) };
    assert_eq!(blob(&options, &image(&server.host, "a/b:1"), &digest_of(BYTES), 100).unwrap(), BYTES);
    assert_eq!(storage.seen()[0].authorization(), None);
}

#[test]
fn a_write_is_redirected_as_a_write_or_not_at_all() {
    for (status, is_followed) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let server = Server::start(move |seen, _| match &*seen.target {
            "/there" => Reply::new(201, ""),
            _ => Reply::new(status, "").header("Location", "/there"),
        });
        let pushed = push_manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1"), &good());
        assert_eq!(pushed.is_ok(), is_followed, "{status}: {pushed:?}");
        let asked: Vec<_> = server.seen().into_iter().map(|seen| (seen.method, seen.body.len())).collect();
        let put = ("PUT".to_owned(), good().len());
        assert_eq!(asked, if is_followed { vec![put.clone(), put] } else { vec![put] });
    }
}

#[test]
fn a_token_for_pushing_is_asked_for_where_something_is_pushed() {
    let tokens = Server::start(|seen, _| {
        let token = if seen.target.contains("push") { "push" } else { "pull" };
        Reply::new(200, json!({"token": token, "expires_in": 300}).to_string())
    });
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", tokens.host);
    let server = Server::start(move |seen, _| match (&*seen.method, seen.authorization()) {
        ("PUT", Some("Bearer push")) => Reply::new(201, ""),
        ("GET", Some("Bearer pull")) => served(good()),
        _ => Reply::new(401, "").header("WWW-Authenticate", &challenge),
    });
    let options = plain(&[&server.host, &tokens.host]);
    let image = image(&server.host, "a/b:1");
    let registries = registry::open(&options).unwrap();
    registry::block_on(async {
        registries.raw(&image, None).await.unwrap();
        registries.push_manifest(&image, MANIFEST, good()).await.unwrap();
        registries.raw(&image, None).await.unwrap();
    })
    .unwrap();
    let asked = ["pull", "pull%2Cpush"].map(|scope| format!("GET /token?service=s&scope=repository%3Aa%2Fb%3A{scope}"));
    assert_eq!(tokens.asked(), asked, "and each only once");
}

#[test]
fn a_mirror_is_never_written_to_and_not_asked_about_what_is_built_here() {
    let mirror = Server::start(|_, _| served(b"{}".to_vec()));
    let server = Server::start(|seen, _| if seen.method == "PUT" { Reply::new(201, "") } else { served(good()) });
    let mut options = plain(&[&server.host, &mirror.host]);
    options.mirrors.insert(server.host.clone(), mirror.host.clone());
    push_manifest(&options, &image(&server.host, "a/b:1"), &good()).unwrap();
    assert!(mirror.asked().is_empty());
    // What is read comes from the mirror, and that one sends something else.
    assert!(raw(&options, &image(&server.host, "team/layer:1"), None).is_err());
    assert_eq!(mirror.asked().len(), 1);
    options.own = Some(format!("{}/team", server.host));
    raw(&options, &image(&server.host, "team/layer:1"), None).unwrap();
    assert!(raw(&options, &image(&server.host, "teamwork/layer:1"), None).is_err());
    assert_eq!(mirror.asked(), ["GET /v2/team/layer/manifests/1", "GET /v2/teamwork/layer/manifests/1"]);
}

/// What a server makes of a request.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Status(u16),
    /// It is done, and the answer is torn: nobody knows.
    Torn,
    Lie,
    Stall,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        2 => prop::sample::select(vec![400, 403, 429, 500, 502, 503, 504]).prop_map(Fault::Status),
        2 => Just(Fault::Torn),
        1 => Just(Fault::Lie),
        1 => Just(Fault::Stall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever goes wrong, and in whichever order: what is said to be pushed is there, whole.
    #[test]
    fn what_is_said_to_be_pushed_is_there(faults in prop::collection::vec(fault(), 0..8)) {
        let stored: Arc<Mutex<Vec<String>>> = Arc::default();
        let (store, sequence) = (stored.clone(), faults.clone());
        let server = Server::start(move |seen, number| {
            let fault = sequence.get(number).copied().unwrap_or(Fault::None);
            let has = |digest: &str| store.lock().unwrap().iter().any(|known| known == digest);
            let reply = match &*seen.method {
                "HEAD" if seen.target.ends_with(&sha256(BYTES)) && has(&sha256(BYTES)) => Reply::new(200, ""),
                "HEAD" => Reply::new(404, ""),
                "POST" => Reply::new(202, "").header("Location", "/upload?s=1"),
                _ => {
                    if !matches!(fault, Fault::Status(_)) {
                        store.lock().unwrap().push(sha256(seen.body.as_bytes()));
                    }
                    Reply::new(201, "done").header("Docker-Content-Digest", &sha256(seen.body.as_bytes()))
                }
            };
            match fault {
                Fault::None => reply,
                Fault::Status(status) => Reply::new(status, ""),
                Fault::Torn => reply.announcing(100),
                Fault::Lie => Reply::new(201, "").header("Docker-Content-Digest", &sha256(b"")).header("Location", "/u"),
                Fault::Stall => Reply::silence(),
            }
        });
        let mut options = plain(&[&server.host]);
        if faults.iter().any(|fault| matches!(fault, Fault::Stall)) {
            options.timeout = Duration::from_millis(400);
        }
        options.retry = quick(4);
        let image = image(&server.host, "a/b:1");
        // A server that says of what it does not have that it has it is not to be found out.
        let is_liar = faults.iter().any(|fault| matches!(fault, Fault::Lie));
        if let Ok(digest) = push_blob(&options, &image, BYTES) {
            prop_assert_eq!(digest.as_str(), sha256(BYTES));
            prop_assert!(is_liar || stored.lock().unwrap().contains(&sha256(BYTES)));
        }
        if let Ok(pushed) = push_manifest(&options, &image, &good()) {
            prop_assert_eq!(pushed.digest, truth().digest);
            prop_assert!(stored.lock().unwrap().contains(&sha256(&good())));
        }
        prop_assert!(server.asked().len() <= 4 * 3 + 4);
    }
}
