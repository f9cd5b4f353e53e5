//! What a build of a layer gets: how large a runner, and how much time. Pure: who calls it brings what was measured.
//!
//! Of each figure, the first that says it holds: the layer's `build.resources`; `.build-spec.ncl` in its build context;
//! what its builds have used, as far as anybody has measured it; the common figure of its language.

mod language;

pub use language::Language;

use crate::catalog::LoadedLayer;
use crate::model::{Platform, Size, Tier};
use crate::tree::Files;

/// The least that is taken after measurements.
pub const FLOOR: Size = Size { cpu: 2, memory_mb: 4096 };

/// What a build of a layer gets, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// What it needs.
    pub needs: Size,
    /// The smallest tier that has that; none where the catalog's tiers are all smaller.
    pub tier: Option<Tier>,
    /// Minutes after which its build is ended.
    pub minutes: u64,
    /// Who says how many processors.
    pub cpu_by: Origin,
    /// Who says how much memory.
    pub memory_by: Origin,
    /// Who says how many minutes.
    pub minutes_by: Origin,
}

/// Who says a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The layer, in `build.resources`.
    Declared,
    /// `.build-spec.ncl` in its build context.
    BuildSpec,
    /// Earlier builds.
    Measured {
        /// What 95 of 100 of them did not exceed: thousandths of a processor, or MiB.
        p95: u64,
        /// How many.
        builds: u64,
        /// Who has measured: the name of an orchestrator's row; none for this machine.
        by: Option<String>,
    },
    /// The layer's language.
    Language(Language),
    /// An attempt before, for which memory ran out.
    OutOfMemory,
    /// Who asks for the build.
    Given,
}

/// What builds of a layer have used: P95 over the last ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Processors on average over the build, in thousandths; with how many builds say it.
    pub cpu_milli: Option<(u64, u64)>,
    /// The most memory at a time, in MiB; with how many builds say it.
    pub memory_mb: Option<(u64, u64)>,
    /// Who has measured: the name of an orchestrator's row; none for this machine.
    pub by: Option<String>,
}

impl Sizing {
    /// What the build of a layer gets, after what is `measured` of earlier ones.
    pub fn of(loaded: &LoadedLayer, files: &Files, measured: Option<&Measured>, tiers: &[Tier]) -> Self {
        let resources = loaded.layer.build.resources;
        let spec = loaded.build_spec.clone().unwrap_or_default();
        let said = |declared: Option<u64>, spec: Option<u64>| {
            let declared = declared.map(|figure| (figure, Origin::Declared));
            declared.or_else(|| spec.map(|figure| (figure, Origin::BuildSpec)))
        };
        let by = measured.and_then(|measured| measured.by.clone());
        let origin = |(p95, builds)| Origin::Measured { p95, builds, by: by.clone() };
        let platform = loaded.layer.build.platforms.first();
        let largest = largest(tiers, platform);
        let cpu = measured.and_then(|measured| measured.cpu_milli).map(|used| {
            let most = largest.map(|tier| tier.size.cpu);
            (with_room(used.0, 1000, FLOOR.cpu, most), origin(used))
        });
        let memory = measured.and_then(|measured| measured.memory_mb).map(|used| {
            let most = largest.map(|tier| tier.size.memory_mb);
            (with_room(used.0, 1, FLOOR.memory_mb, most), origin(used))
        });
        // Looked for only where it is needed: it reads a folder.
        let language = std::cell::LazyCell::new(|| Language::of(loaded, files));
        let common = |figure: fn((Size, u64)) -> u64| (figure(language.common()), Origin::Language(*language));
        let (cpu, cpu_by) = said(resources.cpu, spec.cpu).or(cpu).unwrap_or_else(|| common(|(size, _)| size.cpu));
        let (memory_mb, memory_by) =
            said(resources.memory_mb, spec.memory_mb).or(memory).unwrap_or_else(|| common(|(size, _)| size.memory_mb));
        let (minutes, minutes_by) =
            said(resources.time_budget_min, spec.time_budget_min).unwrap_or_else(|| common(|(_, minutes)| minutes));
        let needs = Size { cpu, memory_mb };
        Self { needs, tier: smallest(tiers, platform, needs).cloned(), minutes, cpu_by, memory_by, minutes_by }
    }

    /// The same with a size that who asks for the build gives.
    pub fn given(self, needs: Size, tiers: &[Tier], platform: Option<&Platform>) -> Self {
        let tier = smallest(tiers, platform, needs).cloned();
        Self { needs, tier, cpu_by: Origin::Given, memory_by: Origin::Given, ..self }
    }

    /// What the one attempt gets after memory ran out; none where there is no larger tier.
    pub fn larger(&self, tiers: &[Tier], platform: Option<&Platform>) -> Option<Self> {
        let tier = larger(tiers, platform, self.leased())?.clone();
        let (cpu_by, memory_by) = (Origin::OutOfMemory, Origin::OutOfMemory);
        let (minutes, minutes_by) = (self.minutes, self.minutes_by.clone());
        Some(Self { needs: tier.size, tier: Some(tier), minutes, cpu_by, memory_by, minutes_by })
    }

    /// What is leased: the tier's size, or what is needed where there is no tier.
    pub fn leased(&self) -> Size {
        self.tier.as_ref().map_or(self.needs, |tier| tier.size)
    }
}

/// A measured figure with a fifth more, rounded up to a whole `unit`, between the floor and the largest tier: nothing
/// could be measured that no tier has room for, and room for more would leave no runner.
fn with_room(p95: u64, unit: u64, floor: u64, most: Option<u64>) -> u64 {
    let wanted = (u128::from(p95) * 6).div_ceil(5 * u128::from(unit));
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    most.map_or(wanted, |most| wanted.min(most)).max(floor)
}

/// What 95 of 100 figures do not exceed, by the nearest rank; none where there are none.
pub fn p95(figures: impl IntoIterator<Item = u64>) -> Option<(u64, u64)> {
    let mut figures: Vec<u64> = figures.into_iter().collect();
    figures.sort_unstable();
    let rank = (figures.len() * 95).div_ceil(100);
    Some((*figures.get(rank.checked_sub(1)?)?, figures.len() as u64))
}

/// The tiers for a platform.
fn of<'t>(tiers: &'t [Tier], platform: Option<&Platform>) -> impl Iterator<Item = &'t Tier> {
    tiers.iter().filter(move |tier| platform.is_none_or(|platform| tier.platform == *platform))
}

fn largest<'t>(tiers: &'t [Tier], platform: Option<&Platform>) -> Option<&'t Tier> {
    of(tiers, platform).max_by_key(|tier| (tier.size.memory_mb, tier.size.cpu))
}

/// The smallest tier for a platform that a size fits in.
pub fn smallest<'t>(tiers: &'t [Tier], platform: Option<&Platform>, needs: Size) -> Option<&'t Tier> {
    let fitting = of(tiers, platform).filter(|tier| needs.fits(tier.size));
    fitting.min_by_key(|tier| (tier.size.memory_mb, tier.size.cpu))
}

/// The next tier with more memory, for the one attempt after memory ran out.
pub fn larger<'t>(tiers: &'t [Tier], platform: Option<&Platform>, than: Size) -> Option<&'t Tier> {
    let larger = of(tiers, platform).filter(|tier| tier.size.memory_mb > than.memory_mb && tier.size.cpu >= than.cpu);
    larger.min_by_key(|tier| (tier.size.memory_mb, tier.size.cpu))
}
