//! From what saves most to images: which one to build in, and which ones to copy from.

use std::collections::BTreeSet;

use super::Advice;
use super::needs::{LibraryNeed, ToolNeed, is_library};
use crate::model::{Class, LayerName, NativeDep, Needed};

/// What a layer provides besides crates.
#[derive(Clone, Debug)]
pub struct Provision<'a> {
    /// The layer.
    pub layer: &'a LayerName,
    /// Its class.
    pub class: Class,
    /// The programs that are in its image, each with its version and whether the layer itself adds it.
    pub tools: Vec<(&'a str, Option<&'a str>, bool)>,
    /// The C libraries that it declares itself.
    pub libraries: Vec<&'a NativeDep>,
    /// The packages that its consumers install beside their programs: declared and inherited.
    pub install: Vec<&'a str>,
    /// The layer at the bottom, whose compiler it has.
    pub foundation: &'a LayerName,
}

/// A program that a project needs, with who provides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolAdvice<'a> {
    /// What is needed.
    pub need: ToolNeed,
    /// The layers that add it, by name.
    pub layers: Vec<&'a LayerName>,
    /// The version that they add, where another one is needed.
    pub other_version: Option<&'a str>,
}

/// A C library that a project needs, with who provides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryAdvice<'a> {
    /// What is needed.
    pub need: LibraryNeed,
    /// The layer.
    pub layer: &'a LayerName,
    /// What is installed in it for this library.
    pub build: Vec<&'a str>,
    /// What has to be installed beside the finished program.
    pub install: Vec<&'a str>,
}

/// The images of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack<'a> {
    /// What to build in.
    pub base: &'a LayerName,
    /// What to copy crates from besides, in this order.
    pub donors: Vec<&'a LayerName>,
    /// Whether the base has crates that are reused.
    pub cooked: bool,
    /// The programs that are needed and not in the base.
    pub missing: Vec<&'static str>,
    /// The packages to install beside the finished program.
    pub install: Vec<&'a str>,
}

impl<'a> Stack<'a> {
    /// These layers, the first to build in and the others to copy from, whatever they save; nothing where there are none.
    pub fn of(layers: &[&'a LayerName]) -> Option<Self> {
        let (base, donors) = layers.split_first()?;
        let donors = donors.to_vec();
        Some(Self { base, donors, cooked: false, missing: Vec::new(), install: Vec::new() })
    }
}

/// Who provides the programs that a project needs; those that nobody does are left out.
pub fn providers<'a>(needs: &[ToolNeed], layers: &[Provision<'a>]) -> Vec<ToolAdvice<'a>> {
    let advice = |need: &ToolNeed| {
        let adds = |layer: &&Provision<'a>| layer.tools.iter().any(|(name, _, own)| *own && *name == need.tool);
        let layers: Vec<&Provision<'a>> = layers.iter().filter(adds).collect();
        let versions = layers.iter().flat_map(|layer| &layer.tools).filter(|(name, ..)| *name == need.tool);
        let versions: Vec<&'a str> = versions.filter_map(|(_, version, _)| *version).collect();
        let wanted = need.version.as_deref().filter(|wanted| !versions.is_empty() && !versions.contains(wanted));
        let other_version = wanted.and(versions.first().copied());
        let layers: Vec<&'a LayerName> = layers.into_iter().map(|layer| layer.layer).collect();
        (!layers.is_empty()).then(|| ToolAdvice { need: need.clone(), layers, other_version })
    };
    needs.iter().filter_map(advice).collect()
}

/// Which layers have the C libraries that a project links, and what must be there at run time.
pub fn natives<'a>(needs: &[LibraryNeed], layers: &[Provision<'a>]) -> Vec<LibraryAdvice<'a>> {
    let mut advice = Vec::new();
    for need in needs {
        for layer in layers {
            let own = layer.libraries.iter().filter(|dep| is_library(&dep.library, &need.library));
            let own: Vec<&NativeDep> = own.copied().collect();
            if own.is_empty() {
                continue;
            }
            let build = own.iter().filter(|dep| dep.needed != Needed::Run).map(|dep| dep.package.as_str()).collect();
            advice.push(LibraryAdvice {
                need: need.clone(),
                layer: layer.layer,
                build,
                install: layer.install.clone(),
            });
        }
    }
    advice
}

/// The images for the best set. The base is the layer whose image has most of what the project needs besides crates;
/// of equal ones the one that saves most. Crates can be copied to it from layers of the same compiler only.
pub fn stack<'a>(
    advice: &Advice<'a>,
    tools: &[ToolAdvice<'a>],
    natives: &[LibraryAdvice<'a>],
    layers: &[Provision<'a>],
) -> Option<Stack<'a>> {
    let of = |name: &LayerName| layers.iter().find(|layer| layer.layer == name);
    let picked: Vec<&Provision<'a>> =
        advice.set.iter().filter_map(|pick| of(advice.layers[pick.layer].offer.layer)).collect();
    let needed: BTreeSet<&'static str> =
        tools.iter().filter(|tool| tool.other_version.is_none()).map(|tool| tool.need.tool).collect();
    let has = |layer: &Provision<'_>, tool: &str| layer.tools.iter().any(|(name, ..)| *name == tool);
    let covered = |layer: &Provision<'_>| {
        let tools = needed.iter().filter(|tool| has(layer, tool)).count();
        tools + natives.iter().filter(|native| native.layer == layer.layer).count()
    };
    // What is copied from fixes the compiler.
    let fits = |layer: &&Provision<'a>| picked.first().is_none_or(|first| first.foundation == layer.foundation);
    // Picked ones first, then by name; a class with crates that nothing takes is no better than its base.
    let toolchains = layers.iter().filter(|layer| layer.class == Class::Toolchain && covered(layer) > 0);
    let mut candidates = picked.iter().copied().chain(toolchains).filter(fits);
    let first = candidates.next()?;
    let base = candidates.fold(first, |best, layer| if covered(layer) > covered(best) { layer } else { best });
    let donors: Vec<&'a LayerName> =
        picked.iter().map(|layer| layer.layer).filter(|layer| *layer != base.layer).collect();
    let cooked = donors.len() < picked.len();
    let missing = needed.into_iter().filter(|tool| !has(base, tool)).collect();
    let mut install: Vec<&'a str> = picked.iter().chain([&base]).flat_map(|layer| layer.install.clone()).collect();
    install.sort_unstable();
    install.dedup();
    Some(Stack { base: base.layer, donors, cooked, missing, install })
}

impl Advice<'_> {
    /// Whether there is anything to suggest: a layer that saves at least so much, or has a program or library that is
    /// needed.
    pub fn suggests(&self, least_ms: u64, tools: &[ToolAdvice<'_>], natives: &[LibraryAdvice<'_>]) -> bool {
        let saves = self.layers.iter().any(|ranked| ranked.saved_ms >= least_ms.max(1));
        saves || !tools.is_empty() || !natives.is_empty()
    }
}
