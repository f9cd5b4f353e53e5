//! Which features a crate has, and which of them turn others on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Project, ProjectError, call};

/// The features of one package, each with what it turns on, as Cargo.toml writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Features(BTreeMap<String, Vec<String>>);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    features: Features,
}

impl Project {
    /// The features of all packages in the lock, by name and version, as `cargo metadata` tells them.
    ///
    /// # Errors
    /// When there is no cargo, crates can't be had, or the answer is none.
    pub fn features(&self) -> Result<BTreeMap<(String, String), Features>, ProjectError> {
        let target = tempfile::Builder::new().prefix("lamina-metadata-").tempdir().map_err(ProjectError::Folder)?;
        let ask = |network: bool| {
            let mut command = self.cargo(target.path());
            command.args(["metadata", "--format-version=1", "--locked"]);
            if !network {
                command.arg("--offline");
            }
            call::answer("cargo", command)
        };
        let answer = match ask(false) {
            Err(ProjectError::Unfetched(_) | ProjectError::Failed { .. }) => ask(true),
            answer => answer,
        }?;
        let malformed = |error: serde_json::Error| ProjectError::Malformed {
            path: self.root.join("Cargo.toml"),
            message: format!("cargo metadata says something else than expected: {error}"),
        };
        let Metadata { packages } = serde_json::from_slice(&answer).map_err(malformed)?;
        Ok(packages.into_iter().map(|package| ((package.name, package.version), package.features)).collect())
    }
}

impl Features {
    /// Those of some features that no other of them turns on.
    pub fn leading(&self, features: &[String]) -> Vec<String> {
        let mut leading: BTreeSet<&String> = features.iter().collect();
        for feature in features.iter().filter(|feature| *feature != "default") {
            leading.remove(feature);
            if !self.on(&leading).contains(feature.as_str()) {
                leading.insert(feature);
            }
        }
        leading.into_iter().cloned().collect()
    }

    /// All that these features turn on in the package itself, with themselves.
    fn on<'a>(&'a self, features: &BTreeSet<&'a String>) -> BTreeSet<&'a str> {
        let mut on = BTreeSet::new();
        let mut waiting: Vec<&str> = features.iter().map(|feature| feature.as_str()).collect();
        while let Some(feature) = waiting.pop() {
            if on.insert(feature) {
                // `serde/std` turns the optional dependency on, and with it a feature of this name; `serde?/std` does not.
                let own = self.0.get(feature).into_iter().flatten().filter(|value| !value.contains("?/"));
                waiting.extend(own.map(|value| value.split_once('/').map_or(value.as_str(), |(name, _)| name)));
            }
        }
        on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_feature_turns_on_need_not_be_named() {
        let list = |features: &[&str]| features.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of = |pairs: &[(&str, &[&str])]| {
            Features(pairs.iter().map(|(name, values)| (name.to_string(), list(values))).collect())
        };
        let features = of(&[
            ("default", &["std"]),
            ("std", &["alloc", "serde?/std"]),
            ("alloc", &[]),
            ("serde", &["dep:serde"]),
            ("derive", &["serde/derive"]),
            ("a", &["b"]),
            ("b", &["a"]),
        ]);
        for (given, kept) in [
            (&["default", "std", "alloc"][..], &["default"][..]),
            (&["alloc", "std"], &["std"]),
            (&["serde", "std"], &["serde", "std"]),
            (&["derive", "serde"], &["derive"]),
            // Of those that turn each other on, one is left.
            (&["a", "b"], &["b"]),
            (&["unknown"], &["unknown"]),
            (&[], &[]),
        ] {
            assert_eq!(features.leading(&list(given)), list(kept), "{given:?}");
        }
    }
}
