//! What makes two units the same for cargo.
//!
//! cargo puts these into the hash that ends a unit's file names: package, features, profile, mode, what of link-time
//! optimisation it takes part in, host or target, target name and kind, compiler, flags, and the same of all that the
//! unit depends on (`compute_metadata` in cargo's `compilation_files.rs`). A [`Key`] is over all of them but the
//! compiler and its flags, which are the same for all units of a call and stand in [`Environment`](super::Environment).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{UnitGraph, lto};

/// What a unit is, with all that it depends on: equal for two units if and only if cargo takes the one for the other,
/// in equal environments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Key([u8; 16]);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl UnitGraph {
    /// The key of each unit, in the order of `units`.
    pub fn keys(&self) -> Vec<Key> {
        let modes = lto::modes(self);
        let mut keys = vec![Key::default(); self.units.len()];
        // A graph that was parsed has no circles.
        for place in self.order().unwrap_or_default() {
            let unit = &self.units[place];
            let package = self.package(unit);
            let profile = self.profile(unit);
            let mut text = Text::default();
            text.field(&package.name);
            text.field(&package.version);
            text.choice(package.source.as_deref());
            text.field(unit.kind.word());
            text.field(&unit.target);
            text.sorted(unit.crate_types.iter());
            text.choice(unit.platform.as_deref());
            text.sorted(unit.features.iter());
            text.field(&profile.folder);
            text.count(profile.settings.len());
            for (setting, value) in &profile.settings {
                text.field(setting);
                text.field(value);
            }
            text.field(modes[place].name());
            let mut dependencies: Vec<Key> = unit.dependencies.iter().map(|&place| keys[place]).collect();
            dependencies.sort_unstable();
            text.count(dependencies.len());
            dependencies.iter().for_each(|key| text.0.extend_from_slice(&key.0));
            let digest = Sha256::digest(&text.0);
            keys[place].0.copy_from_slice(&digest[..16]);
        }
        keys
    }

    /// For each unit, whether anybody else can reuse it: whether no part of it lies in a folder, not even by a
    /// `[patch]` somewhere below.
    pub fn shareable(&self) -> Vec<bool> {
        let mut shareable = vec![false; self.units.len()];
        for place in self.order().unwrap_or_default() {
            let unit = &self.units[place];
            shareable[place] = self.is_shareable(unit) && unit.dependencies.iter().all(|&below| shareable[below]);
        }
        shareable
    }
}

/// Fields in a form that no two different lists of fields share.
#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_le_bytes());
    }

    fn field(&mut self, field: &str) {
        self.count(field.len());
        self.0.extend_from_slice(field.as_bytes());
    }

    fn choice(&mut self, field: Option<&str>) {
        self.count(usize::from(field.is_some()));
        self.field(field.unwrap_or_default());
    }

    fn sorted<'a>(&mut self, fields: impl Iterator<Item = &'a String>) {
        let mut fields: Vec<&String> = fields.collect();
        fields.sort_unstable();
        self.count(fields.len());
        fields.into_iter().for_each(|field| self.field(field));
    }
}
