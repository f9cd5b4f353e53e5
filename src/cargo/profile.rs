//! The profile keys that a project sets, with the places where it does: for explanations, for the values that count
//! are cargo's, in its unit graph.

use std::path::Path;

use toml::{Table, Value};

use super::Project;

/// One key of a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfileKey {
    /// Where it is set: `Cargo.toml`, `.cargo/config.toml`, or a variable's name.
    pub place: String,
    /// The profile: `release`.
    pub profile: String,
    /// The key: `lto`, `package.image.opt-level`.
    pub key: String,
    /// Its value, as it is written.
    pub value: String,
}

impl Project {
    /// The keys that count for a profile, with those of the profiles that it inherits from.
    pub fn profile_keys(&self, profile: &str) -> Vec<ProfileKey> {
        let mut keys = Vec::new();
        let mut next = Some(profile.to_owned());
        let mut seen = Vec::new();
        while let Some(profile) = next.filter(|profile| !seen.contains(profile)) {
            let name = |path: &Path| path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
            let configured = match self.config.files.as_slice() {
                [one] => name(one),
                _ => "cargo's configuration".to_owned(),
            };
            let manifest = self.manifest.get("profile").and_then(|profiles| profiles.get(&profile));
            let config = self.config.value(&["profile", &profile]);
            let mut inherits = None;
            for (place, table) in [("Cargo.toml".to_owned(), manifest), (configured, config)] {
                let table = table.and_then(Value::as_table);
                for (key, value) in table.map(flat).unwrap_or_default() {
                    if key == "inherits" {
                        inherits = inherits.or(value.as_str().map(str::to_owned));
                        continue;
                    }
                    let value = value.to_string();
                    keys.push(ProfileKey { place: place.clone(), profile: profile.clone(), key, value });
                }
            }
            let start = format!("CARGO_PROFILE_{}_", profile.to_ascii_uppercase().replace('-', "_"));
            for (name, value) in &self.variables {
                let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
                if let Some(key) = name.strip_prefix(&start) {
                    let key = key.to_ascii_lowercase().replace('_', "-");
                    keys.push(ProfileKey {
                        place: name.to_owned(),
                        profile: profile.clone(),
                        key,
                        value: value.into(),
                    });
                }
            }
            next = inherits.or(match profile.as_str() {
                "test" => Some("dev".to_owned()),
                "bench" => Some("release".to_owned()),
                _ => None,
            });
            seen.push(profile);
        }
        keys
    }
}

/// The entries of a table, with those of tables in it: `package.image.opt-level`.
fn flat(table: &Table) -> Vec<(String, &Value)> {
    let mut entries = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                entries.extend(flat(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            value => entries.push((key.clone(), value)),
        }
    }
    entries
}
