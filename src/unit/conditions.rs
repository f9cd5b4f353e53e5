//! What holds for all units of a build: the environment, the profiles, the targets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Environment, Manifest, Profile, UnitGraph};

/// What a project and a layer have to agree on before any unit can be shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conditions {
    /// What compiles, and what build scripts see.
    pub environment: Environment,
    /// The profiles of what is asked for; none where they are not known.
    pub profiles: BTreeSet<Profile>,
    /// The targets of it: a triple, or nothing where cargo is given none. Empty where they are not known.
    pub platforms: BTreeSet<Option<String>>,
}

impl Conditions {
    /// Those of a call of cargo.
    pub fn of(graph: &UnitGraph, environment: Environment) -> Self {
        let mut conditions = Self { environment, ..Self::default() };
        conditions.add(graph);
        conditions
    }

    fn add(&mut self, graph: &UnitGraph) {
        for root in graph.roots.iter().map(|&root| &graph.units[root]) {
            self.profiles.insert(graph.profile(root).clone());
            self.platforms.insert(root.platform.clone());
        }
    }

    /// The variables that build scripts of a layer watch and that have other values here, in order.
    pub fn differing<'l>(&self, layer: &'l Environment) -> impl Iterator<Item = &'l str> {
        let here = &self.environment.variables;
        // One that the project's side says nothing of is not set there.
        let differs = |(name, there): &(&'l String, &'l Option<String>)| here.get(*name).cloned().flatten() != **there;
        let differing: Vec<&str> = layer.variables.iter().filter(differs).map(|(name, _)| name.as_str()).collect();
        differing.into_iter()
    }
}

impl Manifest {
    /// Those of all its cooks.
    pub fn conditions(&self) -> Conditions {
        let mut conditions = Conditions { environment: self.environment.clone(), ..Conditions::default() };
        self.cooks.iter().for_each(|cook| conditions.add(&cook.graph));
        conditions
    }
}
