//! Registries that fail, lie or stall: the answer is the truth or a clear error.

use std::time::Duration;

use lamina::registry::{Options, RegistryErrorKind};
use proptest::prelude::*;

use crate::common::{MANIFEST, digest, good, image, manifest, plain, quick, served, sha256, truth};
use crate::server::{Reply, Server};

/// What `reply` makes of a question for a manifest that is asked once.
fn once(reply: impl Fn() -> Reply + Send + Sync + 'static) -> RegistryErrorKind {
    let server = Server::start(move |_, _| reply());
    let options = Options { retry: quick(1), ..plain(&[&server.host]) };
    manifest(&options, &image(&server.host, "a/b:1")).unwrap_err().kind
}

/// The reason that `reply` is refused for; it must be one that no repetition would change.
fn refused(reply: impl Fn() -> Reply + Send + Sync + 'static) -> String {
    let server = Server::start(move |_, _| reply());
    let error = manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
    assert_eq!(server.asked().len(), 1, "{error} was asked for again");
    match error.kind {
        RegistryErrorKind::Malformed { host, why } => {
            assert_eq!(host, server.host);
            why
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_answer_is_taken() {
    let server = Server::start(|_, _| served(good()));
    let (options, image) = (plain(&[&server.host]), image(&server.host, "a/b:1"));
    assert_eq!(manifest(&options, &image).unwrap(), truth());
    assert_eq!(digest(&options, &image).unwrap(), truth().digest);
    assert_eq!(server.asked(), ["GET /v2/a/b/manifests/1", "HEAD /v2/a/b/manifests/1"]);
    assert!(server.seen().iter().all(|seen| seen.headers["accept"].contains(MANIFEST)));
}

#[test]
fn a_digest_that_is_not_announced_is_computed() {
    let server = Server::start(|_, _| Reply::new(200, good()));
    let (options, image) = (plain(&[&server.host]), image(&server.host, "a/b:1"));
    assert_eq!(manifest(&options, &image).unwrap(), truth());
    assert_eq!(digest(&options, &image).unwrap(), truth().digest);
}

#[test]
fn where_head_is_not_allowed_get_is_asked() {
    let server = Server::start(|seen, _| match &*seen.method {
        "HEAD" => Reply::new(405, ""),
        _ => served(good()),
    });
    assert_eq!(digest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap(), truth().digest);
}

#[test]
fn an_announced_digest_that_is_not_the_bodys_is_asked_for_once_more() {
    let other = sha256(b"other");
    let announced = other.clone();
    let server = Server::start(move |_, _| Reply::new(200, good()).header("Docker-Content-Digest", &announced));
    let error = manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
    let expected = format!("it announced {other} and sent {}", truth().digest);
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(matches!(error.kind, RegistryErrorKind::WrongDigest { .. }));
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_flipped_byte_is_noticed_and_mended() {
    let server = Server::start(|_, number| {
        let mut body = good();
        let place = body.len() - 4;
        body[place] ^= u8::from(number == 0);
        Reply::new(200, body).header("Docker-Content-Digest", &sha256(&good()))
    });
    assert_eq!(manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap(), truth());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn head_and_get_may_tell_of_different_moments() {
    let moved = sha256(b"a moment before");
    let announced = moved.clone();
    let server = Server::start(move |seen, _| match &*seen.method {
        "HEAD" => Reply::new(200, "").header("Docker-Content-Digest", &announced),
        _ => served(good()),
    });
    let (options, image) = (plain(&[&server.host]), image(&server.host, "a/b:1"));
    assert_eq!(digest(&options, &image).unwrap().as_str(), moved);
    assert_eq!(manifest(&options, &image).unwrap(), truth(), "a pin is what was received");
}

#[test]
fn a_digest_that_is_none_is_refused() {
    for announced in ["latest", "sha256:123", "sha512:00", "", "sha256:\u{9b}2J"] {
        let why = refused(move || Reply::new(200, good()).header("Docker-Content-Digest", announced));
        assert!(why.starts_with("it announces the digest `"), "{why}");
        assert!(!why.contains('\u{9b}'), "it would reach the terminal");
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    let cases = [
        ("<!doctype html><p>Log in", "it is a web page and no manifest"),
        ("", "it is empty and no manifest"),
        ("{}", "it is no manifest (line 1, column 2)"),
        (r#"{"schemaVersion": 1, "fsLayers": []}"#, "it is a manifest of schema 1, and only schema 2 is read"),
        (r#"{"schemaVersion": 2}"#, "it is neither a manifest nor an index"),
        (r#"{"errors": [{"code": "UNKNOWN"}]}"#, "it is no manifest (line 1, column 33)"),
        (r#"{"schemaVersion": 2, "manifests": [], "layers": []}"#, "it is a manifest and an index at the same time"),
        (
            r#"{"schemaVersion": 2, "manifests": [{"digest": "sha1:0", "platform": {"os": "linux", "architecture": "arm"}}]}"#,
            "its entry for linux/arm has no SHA-256 digest, but `sha1:0`",
        ),
        (
            r#"{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "manifests": []}"#,
            "its content is not what its type says, `application/vnd.oci.image.manifest.v1+json`",
        ),
    ];
    for (body, expected) in cases {
        let body = body.to_owned();
        assert_eq!(refused(move || Reply::new(200, body.clone())), expected);
    }
    for start in ["", r#"{"schemaVersion": 2, "config": "#, r#"{"schemaVersion": 2, "unknown": "#] {
        let deep = format!("{start}{}", "[".repeat(1 << 20));
        let why = refused(move || served(deep.clone().into_bytes()));
        assert!(why.starts_with("it is no manifest (line 1, column "), "{why}");
    }
    let why = refused(|| Reply::new(200, r#"{"schemaVersion": 2, "manifests": []}"#).header("Content-Type", MANIFEST));
    assert_eq!(why, format!("its content is not what its type says, `{MANIFEST}`"));
}

#[test]
fn a_manifest_beyond_the_bound_is_refused() {
    let larger = || {
        let mut body = good();
        body.resize((4 << 20) + 1, b' ');
        body
    };
    assert_eq!(refused(move || served(larger())), "it is larger than 4194304 bytes");
    assert_eq!(refused(move || served(larger()).chunked()), "it is larger than 4194304 bytes");
}

#[test]
fn a_torn_answer_is_asked_for_again() {
    let torn: [fn() -> Reply; 4] = [
        || served(good()).announcing(good().len() + 10),
        || served(good()).cut(20),
        || served(good()).chunked().cut(20),
        || served(good()).chunked().cut(0),
    ];
    for torn in torn {
        let server = Server::start(move |_, number| if number == 0 { torn() } else { served(good()) });
        assert_eq!(manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap(), truth());
        assert_eq!(server.asked().len(), 2);
        let error = once(torn);
        assert!(matches!(error, RegistryErrorKind::Unreachable { .. }), "{error:?}");
    }
}

#[test]
fn a_server_that_stalls_is_given_up() {
    for (stalled, told) in [
        (Reply::silence(), "no answer within 0.3 s"),
        (served(good()).stall(0), "no answer within 0.3 s"),
        (served(good()).stall(30), "the line is too slow or broken: after 30 bytes, too little moved for 0.3 s"),
    ] {
        let server = Server::start(move |_, _| stalled.clone());
        let options = Options { timeout: Duration::from_millis(300), retry: quick(2), ..plain(&[&server.host]) };
        let error = manifest(&options, &image(&server.host, "a/b:1")).unwrap_err();
        assert!(error.to_string().ends_with(&format!("can't be reached: {told}")), "{error}");
    }
    let server = Server::start(|_, number| if number == 0 { Reply::silence() } else { served(good()) });
    let options = Options { timeout: Duration::from_secs(3), ..plain(&[&server.host]) };
    assert_eq!(manifest(&options, &image(&server.host, "a/b:1")).unwrap(), truth(), "it is asked again");
}

#[test]
fn a_host_that_is_not_there_is_named() {
    let host = {
        let server = Server::start(|_, _| served(good()));
        server.host.clone()
    };
    // The listener ends with the server, a moment later.
    while std::net::TcpStream::connect(&host).is_ok() {}
    let error = manifest(&plain(&[&host]), &image(&host, "a/b:1")).unwrap_err();
    assert_eq!(*error.host, *host);
    assert!(error.to_string().contains("can't be reached: Connection refused"), "{error}");
}

/// A fault of one answer.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Status(u16),
    Torn(usize),
    Flipped(usize),
    OtherBody,
    OtherDigest,
    Html,
    Empty,
    Stall(usize),
}

impl Fault {
    fn reply(self) -> Reply {
        let announced = |body: Vec<u8>| Reply::new(200, body).header("Docker-Content-Digest", &sha256(&good()));
        match self {
            Fault::None => served(good()),
            Fault::Status(status) => Reply::new(status, "no"),
            Fault::Torn(at) => served(good()).cut(at % good().len()),
            Fault::Flipped(at) => {
                let mut body = good();
                let place = at % body.len();
                body[place] ^= 1;
                announced(body)
            }
            Fault::OtherBody => announced(br#"{"schemaVersion": 2, "manifests": []}"#.to_vec()),
            Fault::OtherDigest => Reply::new(200, good()).header("Docker-Content-Digest", &sha256(b"")),
            Fault::Html => Reply::new(200, "<html>"),
            Fault::Empty => Reply::new(200, ""),
            Fault::Stall(at) => served(good()).stall(at % good().len()),
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        3 => prop::sample::select(vec![400, 403, 404, 429, 500, 502, 503, 504]).prop_map(Fault::Status),
        3 => any::<usize>().prop_map(Fault::Torn),
        3 => any::<usize>().prop_map(Fault::Flipped),
        1 => Just(Fault::OtherBody),
        1 => Just(Fault::OtherDigest),
        1 => Just(Fault::Html),
        1 => Just(Fault::Empty),
        1 => any::<usize>().prop_map(Fault::Stall),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever goes wrong, and in whichever order: the answer is the truth or an error, after a bounded number of
    /// attempts; and where every fault is one that passes, it is the truth.
    #[test]
    fn no_sequence_of_faults_gives_a_wrong_manifest(faults in prop::collection::vec(fault(), 0..6)) {
        let sequence = faults.clone();
        let server = Server::start(move |_, number| sequence.get(number).map_or(served(good()), |fault| fault.reply()));
        let mut options = plain(&[&server.host]);
        // A busy machine may take that long for a good answer, too.
        let is_hasty = faults.iter().any(|fault| matches!(fault, Fault::Stall(_)));
        if is_hasty {
            options.timeout = Duration::from_millis(400);
        }
        let answer = manifest(&options, &image(&server.host, "a/b:1"));
        prop_assert!(server.asked().len() <= 4);
        match answer {
            Ok(manifest) => prop_assert_eq!(manifest, truth()),
            Err(error) => {
                let lasting = |fault: &Fault| !matches!(fault, Fault::Status(429 | 500..) | Fault::Torn(_));
                let first = faults.iter().position(|fault| matches!(fault, Fault::None)).unwrap_or(faults.len());
                let passes = !is_hasty && first < 4 && !faults[..first].iter().any(lasting);
                prop_assert!(!passes, "{error}");
            }
        }
    }
}
