//! What the builds of a plan stand on, looked at before anything starts.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::{Action, Plan};
use crate::catalog::LoadedLayer;
use crate::diag::{Code, Diagnostic};
use crate::model::{ImageRef, Platform};
use crate::registry::{Registry, RegistryError, platforms};
use crate::snapshot::Snapshot;

impl Plan {
    /// The external images of its builds without a digest in the lock: findings of code `unpinned`, one for each layer
    /// and image.
    pub fn unpinned(&self, snapshot: &Snapshot) -> Vec<Diagnostic> {
        self.base_findings(snapshot, Code::Unpinned)
    }

    /// The bases of its builds that lack a wanted platform, as far as lock and catalog say: findings of code
    /// `platform-missing`. BuildKit would take another platform's image without a word.
    pub fn lacking_platforms(&self, snapshot: &Snapshot) -> Vec<Diagnostic> {
        self.base_findings(snapshot, Code::PlatformMissing)
    }

    /// The external images of its builds of which neither lock nor catalog says the platforms, with the platforms that
    /// are wanted of each. A single manifest does not say its own: that stands in the image's configuration.
    pub fn unsaid_platforms<'a>(&self, snapshot: &'a Snapshot) -> BTreeMap<&'a ImageRef, BTreeSet<&'a Platform>> {
        let mut unsaid: BTreeMap<&ImageRef, BTreeSet<&Platform>> = BTreeMap::new();
        for loaded in self.builds(snapshot) {
            for (_, image) in loaded.layer.images() {
                let wanted = &loaded.layer.build.platforms;
                let is_said = snapshot.lock.get(image).is_some_and(|locked| !locked.platforms.is_empty());
                if !is_said && !wanted.is_empty() {
                    unsaid.entry(image).or_default().extend(wanted);
                }
            }
        }
        unsaid
    }

    /// As [`Plan::lacking_platforms`], of the images about which neither lock nor catalog says anything: the registries
    /// are asked, all at the same time. What they gave no answer about comes beside the findings.
    pub async fn ask_platforms(
        &self,
        registry: &impl Registry,
        snapshot: &Snapshot,
    ) -> (Vec<Diagnostic>, Vec<RegistryError>) {
        let ask = |image| async move {
            let digest = snapshot.lock.get(image).map(|locked| &locked.digest);
            (image, platforms(registry, image, digest).await)
        };
        let (mut findings, mut errors) = (Vec::new(), Vec::new());
        for (image, answer) in join_all(self.unsaid_platforms(snapshot).into_keys().map(ask)).await {
            match answer {
                Ok(known) => findings
                    .extend(self.builds(snapshot).flat_map(|loaded| snapshot.platform_findings(loaded, image, &known))),
                Err(error) => errors.push(error),
            }
        }
        (findings, errors)
    }

    fn base_findings(&self, snapshot: &Snapshot, code: Code) -> Vec<Diagnostic> {
        let findings = self.builds(snapshot).flat_map(|loaded| snapshot.base_findings(loaded));
        findings.filter(|finding| finding.code == code).collect()
    }

    /// The layers that are built.
    fn builds<'a>(&self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a LoadedLayer> {
        let built = self.steps.iter().filter(|step| step.action == Action::Build);
        built.filter_map(|step| snapshot.catalog.layers.get(&step.layer))
    }
}
