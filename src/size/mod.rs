//! What a build of a layer gets: how large a runner, and how much time.

use crate::model::{Layer, Platform, Size, Tier};

/// What a build of a layer gets, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizing {
    /// What it needs.
    pub needs: Size,
    /// The smallest tier that has that; none where the catalog's tiers are all smaller.
    pub tier: Option<Tier>,
    /// Minutes after which its build is ended.
    pub minutes: u64,
}

impl Sizing {
    /// What a layer declares.
    pub fn declared(layer: &Layer, tiers: &[Tier]) -> Self {
        let resources = layer.build.resources;
        let needs = Size { cpu: resources.cpu, memory_mb: resources.memory_mb };
        let tier = smallest(tiers, layer.build.platforms.first(), needs).cloned();
        Self { needs, tier, minutes: resources.time_budget_min }
    }

    /// What is leased: the tier's size, or what is needed where there is no tier.
    pub fn leased(&self) -> Size {
        self.tier.as_ref().map_or(self.needs, |tier| tier.size)
    }
}

/// The smallest tier for a platform that a size fits in.
pub fn smallest<'t>(tiers: &'t [Tier], platform: Option<&Platform>, needs: Size) -> Option<&'t Tier> {
    let fitting = tiers.iter().filter(|tier| platform.is_none_or(|p| tier.platform == *p) && needs.fits(tier.size));
    fitting.min_by_key(|tier| (tier.size.memory_mb, tier.size.cpu))
}

/// The next tier with more memory, for the one attempt after memory ran out.
pub fn larger<'t>(tiers: &'t [Tier], platform: Option<&Platform>, than: Size) -> Option<&'t Tier> {
    let larger = |tier: &&Tier| platform.is_none_or(|p| tier.platform == *p) && tier.size.memory_mb > than.memory_mb;
    let larger = tiers.iter().filter(larger).filter(|tier| tier.size.cpu >= than.cpu);
    larger.min_by_key(|tier| (tier.size.memory_mb, tier.size.cpu))
}
