//! In which surroundings it is cooked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cargo::output;
use crate::failure::{Failure, Result};
use crate::files::hex;
use crate::manifest::Environment;

/// What is known before anything is compiled.
pub fn environment() -> Result<Environment> {
    let cargo_home = std::env::var("CARGO_HOME").ok().filter(|home| !home.is_empty());
    let cargo_home = match cargo_home {
        Some(home) => home,
        None => std::env::var("HOME").map(|home| format!("{home}/.cargo")).unwrap_or_default(),
    };
    let rustc = output("rustc", &["-vV"])?.trim().to_owned();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
    let text = output("cargo", &["config", "get", "--format", "json", "-Zunstable-options"])?;
    let merged: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Other(format!("cargo's configuration is not JSON: {error}")))?;
    Ok(Environment {
        cargo: output("cargo", &["-V"])?.trim().to_owned(),
        cargo_home,
        rustflags: rustflags(&merged, &host),
        config: config(&merged, &host),
        variables: BTreeMap::new(),
        rustc,
    })
}

/// The flags for rustc, from the first place that has any. Fingerprints say it exactly, once there are some: see
/// <https://doc.rust-lang.org/cargo/reference/config.html#buildrustflags>.
fn rustflags(merged: &Value, host: &str) -> Vec<String> {
    if let Ok(flags) = std::env::var("CARGO_ENCODED_RUSTFLAGS") {
        return flags.split('\x1f').filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
    }
    if let Ok(flags) = std::env::var("RUSTFLAGS") {
        return words(&Value::from(flags));
    }
    let places = [merged["target"][host].get("rustflags"), merged["build"].get("rustflags")];
    places.into_iter().flatten().map(words).find(|flags| !flags.is_empty()).unwrap_or_default()
}

/// A list of words, or a text of them.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        value => value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

/// `target.*` of cargo's configuration, and where crates come from in place of crates.io. Of variables in the place of
/// configuration, those for the host are looked at.
fn config(merged: &Value, host: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Some(target) = merged.get("target") {
        flatten("target", target, &mut found);
    }
    if let Some(elsewhere) = merged.pointer("/source/crates-io/replace-with") {
        flatten("source.crates-io.replace-with", elsewhere, &mut found);
    }
    let upper = host.to_uppercase().replace(['-', '.'], "_");
    for (key, name) in [("linker", "LINKER"), ("rustflags", "RUSTFLAGS"), ("runner", "RUNNER")] {
        if let Ok(value) = std::env::var(format!("CARGO_TARGET_{upper}_{name}")) {
            found.insert(format!("target.{host}.{key}"), value);
        }
    }
    found
}

fn flatten(key: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| flatten(&format!("{key}.{name}"), value, found))
        }
        Value::String(text) => drop(found.insert(key.to_owned(), text.clone())),
        value => drop(found.insert(key.to_owned(), value.to_string())),
    }
}

/// What is kept of a variable's value: itself, or a digest where it may be a secret. The rule is that of lamina's
/// `cargo::recorded`, so that both sides can be compared.
pub fn kept(name: &str, value: &str) -> String {
    let name = name.to_ascii_uppercase();
    let secret = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH", "KEY"];
    match secret.iter().any(|part| name.contains(part)) || value.contains("://") && value.contains('@') {
        true => format!("sha256:{}", hex(&Sha256::digest(value))),
        false => value.to_owned(),
    }
}

/// The SHA-256 over Debian's list of installed packages: C compilers, headers and libraries are among them.
pub fn system() -> Option<String> {
    let status = fs::read(Path::new("/var/lib/dpkg/status")).ok()?;
    Some(hex(&Sha256::digest(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_kept() {
        assert_eq!(kept("CFLAGS", "-O2"), "-O2");
        for name in ["GITHUB_TOKEN", "Api_Key", "DB_PASSWORD", "AWS_SECRET_ACCESS", "MY_CREDENTIALS"] {
            let kept = kept(name, "hunter2");
            assert!(kept.starts_with("sha256:") && !kept.contains("hunter2"), "{name}: {kept}");
        }
        assert!(kept("MIRROR", "https://me:hunter2@example.com").starts_with("sha256:"));
    }
}
