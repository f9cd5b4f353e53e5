//! `lamina suggest` by the lock alone: a project of 600 crates against 1,000 layers. Each layer has 300 of 5,000
//! crates, in one of three versions; the same numbers always give the same layers.

use criterion::{Criterion, criterion_group, criterion_main};
use lamina::model::{Class, LayerName};
use lamina::suggest::{Advice, Costs, HeldPackages, Holding, Offer, Packages, Wanted, at_most};

const LAYERS: usize = 1_000;
const CRATES: usize = 300;
const OF: usize = 5_000;
const LOCK: usize = 600;
const VERSIONS: [&str; 3] = ["1.0.0", "1.2.3", "2.0.0"];

/// A sequence of numbers without a pattern (an xorshift generator).
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let next = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        Some(usize::try_from(*state >> 33).unwrap())
    };
    let mut state = seed * 2 + 1;
    std::iter::from_fn(move || next(&mut state))
}

fn by_the_lock(criterion: &mut Criterion) {
    let names: Vec<String> = (0..OF).map(|number| format!("crate-{number}")).collect();
    let layers: Vec<LayerName> = (0..LAYERS).map(|number| format!("layer-{number}").parse().unwrap()).collect();
    let package = |number: usize| (names[number % OF].as_str(), VERSIONS[number / OF % VERSIONS.len()]);
    let held: Vec<Vec<((&str, &str), u64)>> = (0..LAYERS as u64)
        .map(|layer| numbers(layer + 1).take(CRATES).map(|number| (package(number), number as u64 % 5_000)).collect())
        .collect();
    let lock: Packages<'_> = numbers(0).take(LOCK).map(package).collect();
    criterion.bench_function("suggest by the lock: 600 crates, 1,000 layers", |bencher| {
        bencher.iter(|| {
            let held: Vec<HeldPackages<'_>> =
                held.iter().map(|packages| at_most([((), packages.iter().copied())])).collect();
            let costs = Costs::of_packages(&held.iter().collect::<Vec<_>>());
            let offer = |(layer, held)| Offer {
                layer,
                class: Class::SourceDep,
                holding: Holding::Packages(held),
                image: None,
                obstacles: Vec::new(),
            };
            let offers = layers.iter().zip(&held).map(offer).collect();
            Advice::of(Wanted::Packages(&lock), offers, &costs, &lock, 2).set_ms()
        });
    });
}

criterion_group!(benches, by_the_lock);
criterion_main!(benches);
