//! sccache below the cooks: its settings are the catalog's, its credentials a secret, and what it did is read back.
//!
//! A Dockerfile that compiles mounts one secret, [`SECRET`], an env-file. lamina puts it together for the run: the
//! catalog's settings, the place that the session's actor has in that storage, then what was given as the secret, which
//! has the last word.

use std::ffi::OsString;
use std::io::Write;

use serde::Deserialize;
use tempfile::NamedTempFile;

use super::secrets::{self, Secrets, SecretsError};
use crate::cache::{Namespace, Session};
use crate::engine::SecretSource;
use crate::event::SccacheUse;
use crate::model::{Layer, LayerName, Sccache};

/// The id of the secret that Dockerfiles mount.
pub const SECRET: &str = "sccache_creds";
/// What the line of `lamina-cook` begins with that says what sccache did.
const SAID: &str = "lamina-cook: sccache ";
/// The longest such line.
const LONGEST: usize = 1000;
/// Where a cache on the engine's disk is mounted, by the Dockerfiles that do.
const LOCAL: &str = "/var/cache/sccache";

/// Has builds mount the settings and the credentials, where any of the layers mounts the secret. The file is only its
/// owner's to read, and goes with the value that is returned.
///
/// # Errors
/// When the credentials can't be read, or the file can't be written.
pub fn give<'a>(
    secrets: &mut Secrets,
    settings: &Sccache,
    session: &Session,
    layers: impl Iterator<Item = &'a Layer>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<NamedTempFile>, SecretsError> {
    let mounts = |layer: &&Layer| layer.build.secrets.iter().any(|secret| secret.id == SECRET);
    let layers: Vec<&LayerName> = layers.filter(mounts).map(|layer| &layer.name).collect();
    if layers.is_empty() {
        return Ok(None);
    }
    let text =
        env_file(settings, &Place::of(settings, session, &layers), secrets::value(secrets, SECRET, env)?.expose());
    let written = tempfile::Builder::new().prefix("lamina-sccache-").tempfile().and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        Ok(file)
    });
    let file = written.map_err(|error| SecretsError::Unusable {
        id: SECRET.to_owned(),
        from: "a temporary file".to_owned(),
        why: error.to_string(),
    })?;
    secrets.sources.insert(SECRET.to_owned(), SecretSource::File(file.path().to_owned()));
    secrets.absent.remove(SECRET);
    Ok(Some(file))
}

/// Where a session's builds have their crates in the storage. sccache knows one place, which it reads and may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub namespace: Namespace,
    /// Whether crates may be left there.
    pub written: bool,
}

impl Place {
    /// By the rule of all caches: what CI has compiled, which CI alone leaves there; on an engine's disk, where there may
    /// be no CI, the actor's own.
    pub fn of(settings: &Sccache, session: &Session, layers: &[&LayerName]) -> Place {
        let namespace = match settings {
            Sccache::Local => session.writes(),
            _ => Namespace::Ci(session.workspace.clone()),
        };
        let written = layers.iter().all(|layer| session.may_write(&namespace, layer));
        Place { namespace, written }
    }
}

/// The env-file that Dockerfiles mount.
///
/// The variables are those of sccache: <https://github.com/mozilla/sccache/blob/main/docs/Configuration.md>.
pub fn env_file(settings: &Sccache, place: &Place, credentials: &str) -> String {
    let mut lines = Vec::new();
    let mut set = |name: &str, value: Option<&str>| {
        lines.extend(value.map(|value| format!("{name}='{value}'")));
    };
    let Place { namespace, written } = place;
    let below = |prefix: &Option<String>| match prefix {
        Some(prefix) => format!("{}/{namespace}", prefix.trim_end_matches('/')),
        None => namespace.to_string(),
    };
    let (prefix, mode) = match settings {
        Sccache::S3 { bucket, endpoint, region, prefix } => {
            set("SCCACHE_BUCKET", Some(bucket));
            set("SCCACHE_ENDPOINT", endpoint.as_deref());
            set("SCCACHE_REGION", region.as_deref());
            (("SCCACHE_S3_KEY_PREFIX", below(prefix)), "SCCACHE_S3_RW_MODE")
        }
        Sccache::Redis { endpoint, prefix } => {
            set("SCCACHE_REDIS_ENDPOINT", Some(endpoint));
            (("SCCACHE_REDIS_KEY_PREFIX", below(prefix)), "SCCACHE_REDIS_RW_MODE")
        }
        Sccache::Webdav { endpoint, prefix } => {
            set("SCCACHE_WEBDAV_ENDPOINT", Some(endpoint));
            (("SCCACHE_WEBDAV_KEY_PREFIX", below(prefix)), "SCCACHE_WEBDAV_RW_MODE")
        }
        Sccache::Local => (("SCCACHE_DIR", format!("{LOCAL}/{namespace}")), "SCCACHE_LOCAL_RW_MODE"),
    };
    set(prefix.0, Some(&prefix.1));
    set(mode, Some(if *written { "READ_WRITE" } else { "READ_ONLY" }));
    let end = if credentials.is_empty() || credentials.ends_with('\n') { "" } else { "\n" };
    format!("{}\n{credentials}{end}", lines.join("\n"))
}

/// What a line of a build says that sccache did; nothing where it is about something else.
pub fn said(line: &str) -> Option<SccacheUse> {
    #[derive(Deserialize)]
    struct Said {
        backend: String,
        hits: u64,
        misses: u64,
        errors: u64,
        off: Option<String>,
    }
    let text = line.strip_prefix(SAID).filter(|text| text.len() <= LONGEST)?;
    let Said { backend, hits, misses, errors, off } = serde_json::from_str(text.trim()).ok()?;
    Some(SccacheUse { backend, hits, misses, errors, off })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Disposition, Grants, Named};

    fn session(actor: &str) -> Session {
        Session {
            actor: actor.parse().expect("an actor"),
            workspace: "shop".parse().expect("a workspace"),
            grants: Grants::default(),
            named: Named::default(),
            disposition: Disposition::Export,
        }
    }

    fn file(settings: &Sccache, session: &Session, credentials: &str) -> String {
        let layer = "web".parse().expect("a name");
        env_file(settings, &Place::of(settings, session, &[&layer]), credentials)
    }

    #[test]
    fn settings_come_first_and_credentials_have_the_last_word() {
        let settings = Sccache::S3 {
            bucket: "crates".to_owned(),
            endpoint: Some("http://s3.example.com:9000".to_owned()),
            region: None,
            prefix: Some("team/".to_owned()),
        };
        let expected = "SCCACHE_BUCKET='crates'\nSCCACHE_ENDPOINT='http://s3.example.com:9000'\n\
                        SCCACHE_S3_KEY_PREFIX='team/ci/shop'\nSCCACHE_S3_RW_MODE='READ_WRITE'\nAWS_ACCESS_KEY_ID=me\n";
        assert_eq!(file(&settings, &session("ci"), "AWS_ACCESS_KEY_ID=me"), expected);
    }

    #[test]
    fn what_ci_has_compiled_is_written_by_ci_alone() {
        let redis = Sccache::Redis { endpoint: "redis://cache.example.com".to_owned(), prefix: None };
        let place = "SCCACHE_REDIS_ENDPOINT='redis://cache.example.com'\nSCCACHE_REDIS_KEY_PREFIX='ci/shop'\n";
        for (actor, mode) in [("ci", "READ_WRITE"), ("human:ann", "READ_ONLY"), ("ci-aux:docs", "READ_ONLY")] {
            let expected = format!("{place}SCCACHE_REDIS_RW_MODE='{mode}'\n");
            assert_eq!(file(&redis, &session(actor), ""), expected, "{actor}");
        }
        let local = |session: &Session| file(&Sccache::Local, session, "");
        let own = "SCCACHE_DIR='/var/cache/sccache/dev/human.ann-shop'\nSCCACHE_LOCAL_RW_MODE=";
        assert_eq!(local(&session("human:ann")), format!("{own}'READ_WRITE'\n"));
        let discarding = Session { disposition: Disposition::Discard, ..session("human:ann") };
        assert_eq!(local(&discarding), format!("{own}'READ_ONLY'\n"));
    }

    #[test]
    fn a_line_of_the_cook_is_read_and_any_other_is_not() {
        let line = r#"lamina-cook: sccache {"backend":"s3","hits":3,"misses":1,"errors":0,"off":null}"#;
        let read = SccacheUse { backend: "s3".to_owned(), hits: 3, misses: 1, errors: 0, off: None };
        assert_eq!(said(line), Some(read));
        for other in ["", "lamina-cook: sccache", "lamina-cook: sccache {}", r#"sccache {"hits":1}"#] {
            assert_eq!(said(other), None, "{other}");
        }
        assert_eq!(said(&format!("{SAID}{}", "[".repeat(100_000))), None);
    }
}
