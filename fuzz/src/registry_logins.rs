//! Docker's `config.json` and podman's `auth.json`: in the first line a host, then the file.

use std::path::Path;

use lamina::registry::{Found, LoginKind, parse_logins};
use serde_json::Value;

use super::split;

const FILE: &str = "/home/user/.docker/config.json";

pub fn run(data: &[u8]) {
    let (host, text) = split(data, b'\n');
    let host = String::from_utf8_lossy(host);
    let found = match parse_logins(text, Path::new(FILE), &host) {
        Ok(found) => found,
        Err(error) => {
            assert_eq!(error.place, FILE);
            assert!(!error.why.chars().any(char::is_control), "{error}");
            return;
        }
    };
    // Docker Hub has one login under several names.
    if host == "docker.io" {
        let same = parse_logins(text, Path::new(FILE), "registry-1.docker.io").expect("it was read just now");
        assert_eq!(shown(&same), shown(&found));
    }
    // What nobody reads is not looked at: a text there may be no UTF-8, a number too large.
    let Ok(json) = serde_json::from_slice::<Value>(text) else { return };
    match &found {
        Found::Nothing => {}
        Found::Helper(name) => {
            let mut helpers = json["credHelpers"].as_object().into_iter().flat_map(|helpers| helpers.values());
            assert!(json["credsStore"] == **name || helpers.any(|known| *known == **name), "{name}");
            assert!(!name.is_empty());
        }
        Found::Login(login) => {
            assert_eq!(login.source, FILE);
            assert!(json["auths"].as_object().is_some_and(|auths| !auths.is_empty()));
            match &login.kind {
                LoginKind::Password { user, password } => {
                    assert!(!user.expose().is_empty() && !password.expose().ends_with('\0'));
                }
                LoginKind::Identity(token) => assert!(!token.expose().is_empty()),
            }
            // No secret is seen by looking at it.
            assert!(format!("{:?}", login.kind).contains("Secret(…)"));
        }
    }
}

/// All of it, to be compared.
fn shown(found: &Found) -> String {
    match found {
        Found::Login(login) => match &login.kind {
            LoginKind::Password { user, password } => format!("{} {}", user.expose(), password.expose()),
            LoginKind::Identity(token) => token.expose().to_owned(),
        },
        other => format!("{other:?}"),
    }
}
