//! What counts for cargo besides the units: compiler, flags, linker, paths, variables.

use std::collections::BTreeMap;
use std::str::FromStr;

use cargo_platform::{Cfg, CfgExpr};
use sha2::{Digest, Sha256};

use super::{Project, ProjectError, call};
use crate::unit::Environment;

impl Project {
    /// The environment of a build with `--target` or without it. `watched` are the variables that build scripts of
    /// layers watch, with what they were there; only of these the values are looked up.
    ///
    /// # Errors
    /// When rustc or cargo can't be asked.
    pub fn environment<'a>(
        &self,
        target: Option<&str>,
        watched: impl IntoIterator<Item = &'a str>,
    ) -> Result<Environment, ProjectError> {
        let rustc = text(call::answer("rustc", self.rustc(&["-vV"]))?);
        let mut version = self.program("cargo");
        version.arg("-V");
        let cargo = text(call::answer("cargo", version)?);
        let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        let named = target.map(str::to_owned).or_else(|| self.configured_target());
        let triple = named.as_deref().unwrap_or(&host);
        let cfg = self.cfg(triple)?;
        let host_cfg = if triple == host { cfg.clone() } else { self.cfg(&host)? };
        let variables = watched.into_iter().map(|name| (name.to_owned(), self.watched(name)));
        Ok(Environment {
            rustc,
            cargo,
            cargo_home: self.cargo_home().map(|home| home.to_string_lossy().into_owned()).unwrap_or_default(),
            rustflags: self.rustflags(triple, &cfg),
            config: self.settings([(&host, &host_cfg), (triple, &cfg)]),
            variables: variables.collect(),
        })
    }

    /// rustc, as cargo would find it.
    fn rustc(&self, arguments: &[&str]) -> std::process::Command {
        let chosen = self.variable("RUSTC").or_else(|| self.variable("CARGO_BUILD_RUSTC"));
        let chosen = chosen.or_else(|| self.config.text(&["build", "rustc"])).unwrap_or("rustc");
        let mut command = self.program(chosen);
        command.args(arguments);
        command
    }

    /// What configuration says of the host and of the target, and of where crates come from. Build scripts and macros are
    /// linked for the host, in a build for another target as well.
    pub(super) fn settings(&self, targets: [(&str, &Vec<Cfg>); 2]) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        for (triple, cfg) in targets {
            if let Some(linker) = self.linker(triple, cfg) {
                settings.insert(format!("target.{triple}.linker"), linker);
            }
        }
        if let Some(elsewhere) = self.config.text(&["source", "crates-io", "replace-with"]) {
            settings.insert("source.crates-io.replace-with".to_owned(), elsewhere.to_owned());
        }
        settings
    }

    /// The target of a build without `--target`, where configuration names one.
    pub(super) fn configured_target(&self) -> Option<String> {
        let variable = self.variable("CARGO_BUILD_TARGET").map(str::to_owned);
        variable.or_else(|| self.config.words(&["build", "target"])?.into_iter().next())
    }

    /// What rustc's configuration of a target is. It is asked for only where something depends on it.
    pub(super) fn cfg(&self, triple: &str) -> Result<Vec<Cfg>, ProjectError> {
        if !self.has_conditional() {
            return Ok(Vec::new());
        }
        let answer = call::answer("rustc", self.rustc(&["--print", "cfg", "--target", triple]))?;
        Ok(text(answer).lines().filter_map(|line| Cfg::from_str(line).ok()).collect())
    }

    /// Whether there are `target.'cfg(…)'` tables.
    pub(super) fn has_conditional(&self) -> bool {
        self.conditional().next().is_some()
    }

    /// `target.'cfg(…)'` tables.
    fn conditional(&self) -> impl Iterator<Item = (&String, &toml::Value)> {
        let targets = self.config.value(&["target"]).and_then(toml::Value::as_table);
        targets.into_iter().flatten().filter(|(key, _)| key.starts_with("cfg("))
    }

    /// The keys of `target.'cfg(…)'` tables that hold for a target.
    fn holding<'a>(&'a self, cfg: &'a [Cfg]) -> impl Iterator<Item = &'a str> {
        let holds = move |key: &str| CfgExpr::matches_key(key, cfg);
        self.conditional().map(|(key, _)| key.as_str()).filter(move |key| holds(key))
    }

    /// The flags for rustc, from the first place that has any: CARGO_ENCODED_RUSTFLAGS, RUSTFLAGS, all `target` tables
    /// that hold, `build`. See <https://doc.rust-lang.org/cargo/reference/config.html#buildrustflags>.
    pub(super) fn rustflags(&self, triple: &str, cfg: &[Cfg]) -> Vec<String> {
        if let Some(flags) = self.variable("CARGO_ENCODED_RUSTFLAGS") {
            return flags.split('\x1f').filter(|_| !flags.is_empty()).map(str::to_owned).collect();
        }
        if let Some(flags) = self.variable("RUSTFLAGS") {
            return words(flags);
        }
        let mut flags = self.config.words(&["target", triple, "rustflags"]).unwrap_or_default();
        flags
            .extend(self.variable(&format!("CARGO_TARGET_{}_RUSTFLAGS", shout(triple))).map(words).unwrap_or_default());
        for key in self.holding(cfg) {
            flags.extend(self.config.words(&["target", key, "rustflags"]).unwrap_or_default());
        }
        if flags.is_empty() {
            flags = self.config.words(&["build", "rustflags"]).unwrap_or_default();
            flags.extend(self.variable("CARGO_BUILD_RUSTFLAGS").map(words).unwrap_or_default());
        }
        flags
    }

    fn linker(&self, triple: &str, cfg: &[Cfg]) -> Option<String> {
        let variable = self.variable(&format!("CARGO_TARGET_{}_LINKER", shout(triple))).map(str::to_owned);
        let named = || self.config.text(&["target", triple, "linker"]).map(str::to_owned);
        let mut holding = self.holding(cfg).filter_map(|key| self.config.text(&["target", key, "linker"]));
        variable.or_else(named).or_else(|| holding.next().map(str::to_owned))
    }

    /// A variable as a build script sees it: cargo's `[env]` table adds to the environment.
    fn watched(&self, name: &str) -> Option<String> {
        let inherited = self.variable(name);
        let entry = self.config.value(&["env", name]);
        let configured = entry.and_then(|entry| entry.as_str().or_else(|| entry.get("value")?.as_str()));
        let force = entry.and_then(|entry| entry.get("force")?.as_bool()).unwrap_or(false);
        let value = if force { configured.or(inherited) } else { inherited.or(configured) };
        value.map(|value| recorded(name, value))
    }
}

/// What is kept of a variable's value: itself, or `sha256:` and its digest where it may be a secret. Layers' manifests
/// are written by the same rule.
pub fn recorded(name: &str, value: &str) -> String {
    let name = name.to_ascii_uppercase();
    let secret = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH", "KEY"];
    match secret.iter().any(|part| name.contains(part)) || value.contains("://") && value.contains('@') {
        false => value.to_owned(),
        true => {
            let digest = Sha256::digest(value.as_bytes());
            digest.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        }
    }
}

/// A triple in the name of a variable.
fn shout(triple: &str) -> String {
    triple.to_ascii_uppercase().replace(['-', '.'], "_")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
