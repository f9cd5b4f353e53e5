//! Where secrets come from, and that they are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use lamina::engine::SecretSource;
use lamina::event::{Failure, FailureKind, Kind, Outcome, StepFailure};
use lamina::host::secret::Secret;
use lamina::model::{Layer, secret_variable};
use lamina::run::mask::Mask;
use lamina::run::secrets::{GivenSecret, GivenSsh, MAX_SECRET, Secrets, SecretsError};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::common::{app, layer, secret};

fn env<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
}

fn mounting(secrets: &[(&str, bool)]) -> Layer {
    let mut layer = layer();
    layer.build.secrets = secrets.iter().map(|(id, required)| secret(id, *required)).collect();
    layer
}

fn find(layer: &Layer, given: &[&str], variables: &[(&str, &str)]) -> Result<Secrets, SecretsError> {
    let given: Vec<GivenSecret> = given.iter().map(|text| text.parse().unwrap()).collect();
    Secrets::find(std::iter::once(layer), &given, &[], env(variables))
}

#[test]
fn what_is_given_goes_before_the_variable_of_the_id() {
    let layer = mounting(&[("crates-token", true)]);
    assert_eq!(secret_variable("crates-token"), "LAMINA_SECRET_CRATES_TOKEN");
    let variables = [("LAMINA_SECRET_CRATES_TOKEN", "by default"), ("TOKEN", "by name")];
    let found = find(&layer, &[], &variables).unwrap();
    let from = |name: &str| BTreeMap::from([("crates-token".to_owned(), SecretSource::Env(name.to_owned()))]);
    assert_eq!(found.sources, from("LAMINA_SECRET_CRATES_TOKEN"));
    let found = find(&layer, &["id=crates-token,env=TOKEN"], &variables).unwrap();
    assert_eq!(found.sources, from("TOKEN"));
}

#[test]
fn all_that_is_missing_is_told_at_once_and_what_is_optional_is_not_missing() {
    let mut layer = mounting(&[("a", true), ("b", false), ("c", true)]);
    layer.build.ssh = vec!["default".to_owned()];
    // An empty variable would become an empty secret.
    let error = find(&layer, &[], &[("LAMINA_SECRET_C", "")]).unwrap_err();
    let expected = "missing: the secret `a`, which app can't be built without; the secret `c`, which app can't be built \
                    without; the SSH agent `default`, which app can't be built without";
    assert_eq!(error.to_string(), expected);
    let variables = [("LAMINA_SECRET_A", "1"), ("LAMINA_SECRET_C", "1"), ("SSH_AUTH_SOCK", "/agent")];
    let found = find(&layer, &[], &variables).unwrap();
    assert_eq!(found.absent, BTreeMap::from([("b".to_owned(), BTreeSet::from([app()]))]));
    assert_eq!(found.ssh, BTreeMap::from([("default".to_owned(), None)]));
}

#[test]
fn an_ssh_key_needs_no_agent() {
    let mut layer = layer();
    layer.build.ssh = vec!["deploy".to_owned()];
    let given: GivenSsh = "deploy=/keys/id".parse().unwrap();
    let found = Secrets::find(std::iter::once(&layer), &[], &[given], env(&[])).unwrap();
    assert_eq!(found.ssh, BTreeMap::from([("deploy".to_owned(), Some("/keys/id".into()))]));
}

#[test]
fn a_given_secret_that_can_not_be_read_is_an_error_also_if_it_is_optional() {
    let temp = TempDir::new().unwrap();
    let layer = mounting(&[("a", false)]);
    let file = |name: &str| format!("id=a,src={}", temp.path().join(name).display());
    std::fs::write(temp.path().join("large"), vec![b'x'; MAX_SECRET as usize + 1]).unwrap();
    std::fs::write(temp.path().join("good"), "hunter22\n").unwrap();
    std::fs::create_dir(temp.path().join("folder")).unwrap();
    for (name, why) in [("none", "No such file"), ("large", "more than"), ("folder", "no regular file")] {
        let error = find(&layer, &[&file(name)], &[]).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(name), "{error}");
    }
    assert!(matches!(find(&layer, &["id=a,env=NOT_SET"], &[]), Err(SecretsError::Unusable { .. })));
    let found = find(&layer, &[&file("good")], &[]).unwrap();
    let mut text = "the password is hunter22.".to_owned();
    found.mask.apply(&mut text);
    assert_eq!(text, "the password is ***.");
    assert!(!format!("{found:?}").contains("hunter22"));
}

#[test]
fn what_says_no_secret_is_refused() {
    for text in ["", "a", "id=a", "src=x", "id=,src=x", "id=a,src=", "id=a,src=x,env=Y", "id=a,src=x,type=file", "a=b"]
    {
        assert!(text.parse::<GivenSecret>().is_err(), "{text}");
    }
    for text in ["", "=x", "a=", "a,b"] {
        assert!(text.parse::<GivenSsh>().is_err(), "{text}");
    }
}

fn mask(secrets: &[&str]) -> Mask {
    let mut mask = Mask::default();
    secrets.iter().for_each(|secret| mask.add(&Secret::new(*secret)));
    mask
}

#[test]
fn lines_of_a_secret_are_masked_and_what_overlaps_is_masked_whole() {
    let mut text = "abcdefgh KEY-1 key-2! abc".to_owned();
    mask(&["abcdef", "defgh", "KEY-1\n  key-2!\nabc\n", "abc"]).apply(&mut text);
    assert_eq!(text, "*** *** *** abc");
}

#[test]
fn no_text_of_a_failure_shows_a_secret() {
    let secret = "s3cr3t-value";
    let text = || format!("before {secret} after");
    let failure = Failure {
        kind: FailureKind::Step,
        message: text(),
        hints: vec![text()],
        step: Some(StepFailure {
            name: text(),
            dockerfile: None,
            lines: Vec::new(),
            span: None,
            exit_code: Some(1),
            output: vec![text()],
        }),
        oom: None,
        log: None,
    };
    let events = [
        Kind::StepStarted { layer: app(), step: 0, name: text(), line: None },
        Kind::Output { layer: app(), step: 0, stderr: false, line: text() },
        Kind::Warning { layer: None, message: text() },
        Kind::Retrying { layer: app(), attempt: 1, reason: text(), wait_ms: 0, oom: None },
        Kind::LayerFinished { layer: app(), outcome: Outcome::Failed { failure: failure.into() }, ms: 0 },
    ];
    for mut event in events {
        assert!(format!("{event:?}").contains(secret));
        mask(&[secret]).event(&mut event);
        assert!(!format!("{event:?}").contains(secret), "{event:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_masked_text_holds_a_secret(secrets in prop::collection::vec("[abé]{4,6}", 1..4), text in "[abé ]{0,40}") {
        let mut masked = text.clone();
        mask(&secrets.iter().map(String::as_str).collect::<Vec<_>>()).apply(&mut masked);
        for secret in &secrets {
            prop_assert!(!masked.contains(secret.as_str()), "{text} became {masked}");
        }
    }
}
