//! What counts for cargo in a container of a layer: the layer's environment, with what the project's own files say.

use std::collections::BTreeMap;

use cargo_platform::Cfg;

use super::{Project, recorded};
use crate::unit::Environment;

/// What rustc says of targets. `target.'cfg(…)'` tables hold or don't by that; without one nobody is asked.
#[derive(Debug)]
pub struct Targets {
    ask: bool,
    known: BTreeMap<String, Option<Vec<Cfg>>>,
}

impl Targets {
    /// None is known yet; whether rustc may be asked, `ask` says.
    pub fn new(ask: bool) -> Self {
        Self { ask, known: BTreeMap::new() }
    }

    fn of(&mut self, project: &Project, triple: &str) -> Option<Vec<Cfg>> {
        if let Some(known) = self.known.get(triple) {
            return known.clone();
        }
        let may = self.ask || !project.has_conditional();
        let cfg = may.then(|| project.cfg(triple).ok()).flatten();
        self.known.insert(triple.to_owned(), cfg.clone());
        cfg
    }
}

impl Project {
    /// The environment of a build with `--target` or without it, in a container of a layer. Where nobody knows which
    /// `target.'cfg(…)'` tables hold, flags and linker are taken to be the layer's.
    pub fn inside(&self, layer: &Environment, target: Option<&str>, targets: &mut Targets) -> Environment {
        let mut inside = layer.clone();
        let host = layer.rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let named = target.map(str::to_owned).or_else(|| self.configured_target());
        let triple = named.as_deref().unwrap_or(host);
        if let (Some(of_host), Some(of_target)) = (targets.of(self, host), targets.of(self, triple)) {
            inside.rustflags = self.rustflags(triple, &of_target);
            inside.config = self.settings([(host, &of_host), (triple, &of_target)]);
        }
        if let Some(channel) = self.toolchain.as_ref().and_then(|toolchain| toolchain.channel.as_deref()) {
            inside.rustc = pinned(&layer.rustc, channel);
        }
        for (name, value) in &mut inside.variables {
            let Some(entry) = self.config.value(&["env", name]) else { continue };
            let force = entry.get("force").and_then(toml::Value::as_bool).unwrap_or(false);
            let configured = entry.as_str().or_else(|| entry.get("value")?.as_str());
            // cargo sets what the environment does not, or what it is forced to.
            if let Some(configured) = configured.filter(|_| force || value.is_none()) {
                *value = Some(recorded(name, configured));
            }
        }
        inside
    }
}

/// `rustc -vV` in a layer's container, where the project asks rustup for a channel.
fn pinned(layer: &str, channel: &str) -> String {
    let release = layer.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or_default();
    // `1.97` is the newest of its patches, and `stable` whatever is newest: as far as is known here, the layer's.
    let is_layers = channel == release
        || channel == "stable"
        || release.strip_prefix(channel).is_some_and(|rest| rest.starts_with('.'));
    if is_layers || release.is_empty() { layer.to_owned() } else { layer.replace(release, channel) }
}
