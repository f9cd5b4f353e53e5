//! `lamina suggest` by the lock alone, a project of 600 crates against 1,000 cooked layers, without the catalog's own
//! part: `cargo bench --bench suggest`. `targets` measures the whole command.

mod cooked;
mod synthetic;

use criterion::{Criterion, criterion_group, criterion_main};
use lamina::cargo::Project;
use lamina::cooked::{Found, Store};
use lamina::model::Class;
use lamina::suggest::{Advice, Costs, HeldPackages, Holding, Offer, Packages, Wanted};

const LAMINA: &str = env!("CARGO_BIN_EXE_lamina");

fn offer<'a>(found: &'a Found, held: &'a HeldPackages<'a>) -> Offer<'a> {
    let (image, obstacles, differing) = (None, Vec::new(), Vec::new());
    Offer {
        layer: &found.layer,
        class: Class::SourceDep,
        holding: Holding::Packages(held),
        image,
        obstacles,
        differing,
    }
}

fn by_the_lock(criterion: &mut Criterion) {
    let work = tempfile::tempdir().expect("there is room for temporary files");
    let (catalog, cache) = (work.path().join("catalog"), work.path().join("cache"));
    synthetic::write(&catalog, 1_500).expect("the catalog can be written");
    let snapshot = cooked::snapshot(&catalog, LAMINA);
    let found = cooked::fill(&snapshot, &cache);
    assert_eq!(found.len(), 1_000);
    let folder = work.path().join("project");
    cooked::write_project(&folder);
    criterion.bench_function("the index of 1,000 manifests", |bencher| bencher.iter(|| Store::open(&cache)));
    criterion.bench_function("suggest by the lock: 600 crates, 1,000 layers", |bencher| {
        bencher.iter(|| {
            let project = Project::open(&folder).expect("it is a project");
            let of_lock = project.lock.packages.iter().filter(|package| package.source.is_some());
            let wanted: Vec<(String, String)> =
                of_lock.map(|package| (package.name.to_string(), package.version.to_string())).collect();
            let wanted: Packages<'_> = wanted.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
            let store = Store::open(&cache);
            let among = store.among(&wanted.iter().map(|(name, _)| *name).collect());
            let summaries = found.iter().filter_map(|found| store.summary(&found.digest));
            let held: Vec<HeldPackages<'_>> = summaries.map(|summary| summary.packages(&among).collect()).collect();
            let costs = Costs::of_packages(&held.iter().collect::<Vec<_>>());
            let offers = found.iter().zip(&held).map(|(found, held)| offer(found, held)).collect();
            Advice::of(Wanted::Packages(&wanted), offers, &costs, &wanted, 2).set_ms()
        });
    });
}

criterion_group!(benches, by_the_lock);
criterion_main!(benches);
