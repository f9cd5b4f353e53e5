//! Token services: which token is asked for, with what, and who gets to see it. Redirects, too, because they are the
//! other way for a login to leave its host.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use lamina::registry::{self, Logins, Options, Registry, RegistryErrorKind};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{digest, good, image, manifest, plain, served, tags, truth};
use crate::server::{Reply, Seen, Server};

const PASSWORD: &str = "open-sesame";

/// A token service, and a registry that takes its tokens: `token-N` for the scope of the repository that is asked for,
/// where N is at least the registry's `generation`.
struct Pair {
    tokens: Server,
    registry: Server,
}

impl Pair {
    fn start(token: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::accepting(token, |token| token.starts_with("token-"))
    }

    fn accepting(
        token: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
        accepts: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let tokens = Server::start(token);
        let challenge =
            format!("Bearer realm=\"http://{}/token?x=y\",service=\"the registry\",scope=\"all:*\"", tokens.host);
        let registry = Server::start(move |seen, _| {
            match seen.authorization().and_then(|header| header.strip_prefix("Bearer ")) {
                Some(token) if accepts(token) => match seen.target.contains("/tags/") {
                    true => Reply::new(200, r#"{"name": "a/b", "tags": ["1"]}"#),
                    false => served(good()),
                },
                // Basic stands first: Bearer is taken all the same, as it shows the password to nobody else.
                _ => Reply::new(401, "")
                    .header("WWW-Authenticate", "Basic realm=\"r\"")
                    .header("WWW-Authenticate", &challenge),
            }
        });
        Self { tokens, registry }
    }

    fn options(&self, logins: Logins) -> Options {
        Options { logins, ..plain(&[&self.registry.host, &self.tokens.host]) }
    }

    fn image(&self) -> lamina::model::ImageRef {
        image(&self.registry.host, "a/b:1")
    }

    fn login(&self, entry: Value) -> (TempDir, Logins) {
        login(&self.registry.host, entry)
    }
}

fn login(host: &str, entry: Value) -> (TempDir, Logins) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.json");
    fs::write(&file, json!({"auths": {host: entry}}).to_string()).unwrap();
    (folder, Logins { docker: Some(file), ..Logins::none() })
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("me:{PASSWORD}")))
}

fn numbered(_: &Seen, number: usize) -> Reply {
    Reply::new(200, json!({"token": format!("token-{number}"), "expires_in": 300}).to_string())
}

#[test]
fn everybody_gets_a_token_for_pulling() {
    let pair = Pair::start(numbered);
    let registries = registry::open(&pair.options(Logins::none())).unwrap();
    registry::block_on(async {
        assert_eq!(registries.manifest(&pair.image()).await.unwrap(), truth());
        assert_eq!(registries.digest(&pair.image()).await.unwrap(), truth().digest);
        assert_eq!(registries.tags(&pair.image()).await.unwrap(), ["1"]);
    })
    .unwrap();
    // The scope is lamina's own, whatever the challenge says; and the token is asked for once.
    let expected = "GET /token?x=y&service=the+registry&scope=repository%3Aa%2Fb%3Apull";
    assert_eq!(pair.tokens.asked(), [expected]);
    assert_eq!(pair.tokens.seen()[0].authorization(), None);
    assert_eq!(pair.registry.asked().len(), 4, "one question was asked without a token");
}

#[test]
fn each_repository_has_a_token_of_its_own() {
    let pair = Pair::start(numbered);
    let registries = registry::open(&pair.options(Logins::none())).unwrap();
    registry::block_on(async {
        for name in ["a/b:1", "c:1", "a/b:2"] {
            assert_eq!(registries.manifest(&image(&pair.registry.host, name)).await.unwrap(), truth());
        }
    })
    .unwrap();
    let with: Vec<_> = pair.registry.seen().iter().map(|seen| seen.authorization().map(str::to_owned)).collect();
    let token = |number: usize| Some(format!("Bearer token-{number}"));
    assert_eq!(with, [None, token(0), token(1), token(0)], "who has asked before is answered at once");
}

#[test]
fn a_password_goes_to_the_token_service_and_nowhere_else() {
    let pair = Pair::start(|seen, number| match seen.authorization() {
        Some(header) if header == basic() => numbered(seen, number),
        _ => Reply::new(401, ""),
    });
    let (_folder, logins) = pair.login(json!({"username": "me", "password": PASSWORD}));
    assert_eq!(manifest(&pair.options(logins), &pair.image()).unwrap(), truth());
    let seen = pair.registry.seen();
    assert!(seen.iter().all(|seen| seen.authorization().is_none_or(|header| !header.starts_with("Basic"))));

    let error = manifest(&pair.options(Logins::none()), &pair.image()).unwrap_err();
    let expected = format!("{} wants a login, or has no such image: no login was tried", pair.tokens.host);
    assert_eq!(error.kind.to_string(), expected);
}

#[test]
fn an_identity_token_is_exchanged_by_oauth() {
    let pair = Pair::start(|seen, _| match (&*seen.method, &*seen.body) {
        (
            "POST",
            "grant_type=refresh_token&client_id=lamina&refresh_token=id+token&service=the+registry\
             &scope=repository%3Aa%2Fb%3Apull",
        ) => Reply::new(200, r#"{"access_token": "token-x"}"#),
        _ => Reply::new(400, r#"{"error": "invalid_grant"}"#),
    });
    let (_folder, logins) = pair.login(json!({"identitytoken": "id token"}));
    assert_eq!(manifest(&pair.options(logins), &pair.image()).unwrap(), truth());
    assert_eq!(pair.tokens.asked(), ["POST /token?x=y"], "it is in no address");

    let (folder, logins) = pair.login(json!({"identitytoken": "worn-out"}));
    let error = manifest(&pair.options(logins), &pair.image()).unwrap_err();
    let file = folder.path().join("config.json");
    let expected = format!("no such image: the login from {} was refused", file.display());
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(!format!("{error:?}").contains("worn-out"));
}

#[test]
fn a_token_that_has_expired_is_replaced() {
    // The registry takes each token once: it knows better than `expires_in`.
    let used = std::sync::Mutex::new(std::collections::HashSet::new());
    let pair = Pair::accepting(numbered, move |token| {
        token.starts_with("token-") && (used.lock().unwrap().insert(token.to_owned()))
    });
    let registries = registry::open(&pair.options(Logins::none())).unwrap();
    registry::block_on(async {
        for _ in 0..3 {
            assert_eq!(registries.manifest(&pair.image()).await.unwrap(), truth());
        }
    })
    .unwrap();
    assert_eq!(pair.tokens.asked().len(), 3);

    // And one that says of itself that it lives for no time is not kept.
    let pair = Pair::start(|_, number| {
        Reply::new(200, json!({"token": format!("token-{number}"), "expires_in": 0}).to_string())
    });
    let registries = registry::open(&pair.options(Logins::none())).unwrap();
    registry::block_on(async {
        for _ in 0..3 {
            assert_eq!(registries.manifest(&pair.image()).await.unwrap(), truth());
        }
    })
    .unwrap();
    assert_eq!(pair.tokens.asked().len(), 3);
    assert_eq!(pair.registry.asked().len(), 4);
}

#[test]
fn a_token_that_is_not_taken_is_not_tried_for_ever() {
    let pair = Pair::accepting(numbered, |_| false);
    let error = manifest(&pair.options(Logins::none()), &pair.image()).unwrap_err();
    let expected = "no login was tried, and it refused the token that its token service gives to everybody";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!((pair.tokens.asked().len(), pair.registry.asked().len()), (1, 2));
}

#[test]
fn a_token_service_that_fails_is_asked_again() {
    for at_first in [Reply::new(429, "").header("Retry-After", "0"), Reply::new(503, ""), Reply::new(200, "{}").cut(1)]
    {
        let pair = Pair::start(move |seen, number| if number == 0 { at_first.clone() } else { numbered(seen, number) });
        assert_eq!(digest(&pair.options(Logins::none()), &pair.image()).unwrap(), truth().digest);
        assert_eq!(pair.tokens.asked().len(), 2);
    }
    let pair = Pair::start(|_, _| Reply::new(429, "").header("Retry-After", "7200"));
    let error = manifest(&pair.options(Logins::none()), &pair.image()).unwrap_err();
    let expected = format!("{} limits the rate of requests; it asks to wait 7200 s", pair.tokens.host);
    assert_eq!(error.kind.to_string(), expected);
    assert_eq!(pair.tokens.asked().len(), 1);
}

#[test]
fn a_token_service_that_lies_is_refused() {
    for body in ["", "<html>", "{}", "[]", r#"{"token": ""}"#, r#"{"token": 5}"#, r#"{"token": "a\r\nX: y"}"#] {
        let pair = Pair::start(move |_, _| Reply::new(200, body));
        let error = manifest(&pair.options(Logins::none()), &pair.image()).unwrap_err();
        assert!(error.to_string().ends_with("it is a token service and sent no token"), "{body}: {error}");
        assert_eq!(pair.tokens.asked().len(), 1);
    }
    let pair = Pair::start(|_, _| Reply::new(200, " ".repeat((256 << 10) + 1)));
    let error = manifest(&pair.options(Logins::none()), &pair.image()).unwrap_err();
    assert!(error.to_string().ends_with("it is larger than 262144 bytes"), "{error}");
    let pair = Pair::start(|_, _| Reply::new(404, ""));
    let error = manifest(&pair.options(Logins::none()), &pair.image()).unwrap_err();
    assert!(matches!(error.kind, RegistryErrorKind::Malformed { .. }), "not the image is missing: {error}");
}

#[test]
fn a_token_service_that_is_no_place_to_go_to_is_refused() {
    let target = Server::start(numbered);
    for (realm, expected) in [
        ("nowhere".to_owned(), "its token service is `nowhere`, which is no address"),
        ("file:///etc/passwd".to_owned(), "it sends its clients to file://, which is no web address"),
        (
            "https://me:secret@example.invalid/".to_owned(),
            "it sends its clients to https://example.invalid, with a login in it",
        ),
        (format!("http://{}/token", target.host), "which is not encrypted"),
    ] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let server = Server::start(move |_, _| Reply::new(401, "").header("WWW-Authenticate", &challenge));
        let (_folder, logins) = login(&server.host, json!({"username": "me", "password": PASSWORD}));
        let options = Options { logins, ..plain(&[&server.host]) };
        let error = manifest(&options, &image(&server.host, "a/b:1")).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
    assert!(target.asked().is_empty(), "it is not in plain_http");
}

#[test]
fn a_challenge_that_cant_be_met_is_refused() {
    for challenge in
        ["Negotiate", "Bearer service=\"s\"", "Digest realm=\"r\", nonce=\"n\"", "", "\"", "Bearer realm=\"a"]
    {
        let server = Server::start(move |_, _| Reply::new(401, "").header("WWW-Authenticate", challenge));
        let error = manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
        let expected = "it asks for neither Basic nor Bearer, and lamina knows no other way";
        assert!(error.to_string().ends_with(expected), "{challenge}: {error}");
    }
}

#[test]
fn a_redirect_takes_no_login_to_another_host() {
    let target = Server::start(|_, _| served(good()));
    let place = format!("http://{}/elsewhere", target.host);
    let server = Server::start(move |seen, _| match seen.authorization() {
        Some(header) if header == basic() => Reply::new(307, "").header("Location", &place),
        _ => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""),
    });
    let (_folder, logins) = login(&server.host, json!({"username": "me", "password": PASSWORD}));
    let options = Options { logins, ..plain(&[&server.host, &target.host]) };
    assert_eq!(manifest(&options, &image(&server.host, "a/b:1")).unwrap(), truth());
    assert_eq!(target.asked(), ["GET /elsewhere"]);
    assert_eq!(target.seen()[0].authorization(), None);

    // To the same host it does.
    let server = Server::start(|seen, _| match (seen.authorization(), &*seen.target) {
        (Some(header), "/there") if header == basic() => served(good()),
        (Some(_), target) if target.starts_with("/v2/") => Reply::new(302, "").header("Location", "/there"),
        _ => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""),
    });
    let (_folder, logins) = login(&server.host, json!({"username": "me", "password": PASSWORD}));
    let options = Options { logins, ..plain(&[&server.host]) };
    assert_eq!(manifest(&options, &image(&server.host, "a/b:1")).unwrap(), truth());
}

#[test]
fn a_host_that_is_redirected_to_gets_no_login_when_it_asks_for_one() {
    let target = Server::start(|_, _| Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""));
    let place = format!("http://{}/elsewhere", target.host);
    let server = Server::start(move |_, _| Reply::new(307, "").header("Location", &place));
    let (_folder, logins) = login(&server.host, json!({"username": "me", "password": PASSWORD}));
    let options = Options { logins, ..plain(&[&server.host, &target.host]) };
    let error = manifest(&options, &image(&server.host, "a/b:1")).unwrap_err();
    assert!(error.to_string().ends_with("it is another host, to which logins are not passed on"), "{error}");
    assert!(target.seen().iter().all(|seen| seen.authorization().is_none()));
}

#[test]
fn a_token_service_that_redirects_gets_no_password_there() {
    let target = Server::start(|seen, number| match seen.authorization() {
        None => numbered(seen, number),
        Some(_) => Reply::new(500, ""),
    });
    let place = format!("http://{}/elsewhere", target.host);
    let pair = Pair::start(move |_, _| Reply::new(307, "").header("Location", &place));
    for (entry, is_post) in
        [(json!({"username": "me", "password": PASSWORD}), false), (json!({"identitytoken": "i"}), true)]
    {
        let (_folder, logins) = pair.login(entry);
        let mut options = pair.options(logins);
        options.plain_http.insert(target.host.clone());
        match manifest(&options, &pair.image()) {
            Ok(manifest) => assert!(!is_post && manifest == truth()),
            Err(error) => assert!(is_post && error.to_string().ends_with("it redirects a login"), "{error}"),
        }
    }
    assert_eq!(target.asked(), ["GET /elsewhere"]);
}

#[test]
fn redirects_end() {
    let server = Server::start(|_, number| Reply::new(302, "").header("Location", &format!("/{number}")));
    let error = tags(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
    assert!(error.to_string().ends_with("it redirects more than 5 times"), "{error}");
    assert_eq!(server.asked().len(), 6);
    for (place, expected) in [
        ("http://", "it redirects to `http://`"),
        ("http://example.invalid/", "it sends its clients to http://example.invalid, which is not encrypted"),
        ("ftp://example.invalid/", "it sends its clients to ftp://example.invalid, which is no web address"),
    ] {
        let server = Server::start(move |_, _| Reply::new(301, "").header("Location", place));
        let error = manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn many_who_need_the_same_token_have_it_asked_for_once() {
    let pair = Pair::start(|seen, number| {
        // Long enough for all to come and wait.
        std::thread::sleep(Duration::from_millis(100));
        numbered(seen, number)
    });
    let registries = registry::open(&pair.options(Logins::none())).unwrap();
    let image = pair.image();
    let answers = registry::block_on(join_all((0..16).map(|_| registries.manifest(&image))));
    assert!(answers.unwrap().into_iter().all(|answer| answer.unwrap() == truth()));
    assert_eq!(pair.tokens.asked().len(), 1);
}
