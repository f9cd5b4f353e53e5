//! Keys of units, and what a project finds in layers: `cargo bench --bench units`.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lamina::unit::{Cook, Environment, Kind, Manifest, Output, Package, Profile, Unit, UnitGraph, reuse};

/// As many units as a large service has.
const UNITS: usize = 600;

/// A graph in which each unit needs some before it; `layer` decides on the versions of every tenth.
fn graph(layer: usize) -> UnitGraph {
    let settings = ["opt_level", "lto", "codegen_units", "debuginfo", "panic", "strip", "split_debuginfo", "rpath"];
    let profile = Profile {
        folder: "release".to_owned(),
        settings: settings.iter().map(|key| ((*key).to_owned(), "\"value\"".to_owned())).collect(),
    };
    let package = |number: usize| Package {
        name: format!("package-{number}"),
        version: if number % 10 == 9 { format!("1.0.{layer}") } else { "1.0.0".to_owned() },
        source: Some("registry+https://github.com/rust-lang/crates.io-index".to_owned()),
    };
    let unit = |number: usize| Unit {
        package: number,
        kind: Kind::Lib,
        target: format!("package_{number}"),
        crate_types: vec!["lib".to_owned()],
        platform: None,
        features: vec!["default".to_owned(), "std".to_owned()],
        profile: 0,
        dependencies: (1..=8usize).filter_map(|step| number.checked_sub(step * step * 3)).collect(),
        output: Some(Output {
            folder: format!("package-{number}"),
            cpu_ms: Some(300),
            bytes: 1 << 20,
            sha256: None,
            watches: Vec::new(),
        }),
    };
    UnitGraph {
        packages: (0..UNITS).map(package).collect(),
        profiles: vec![profile],
        units: (0..UNITS).map(unit).collect(),
        roots: vec![UNITS - 1],
    }
}

fn manifest(layer: usize) -> Manifest {
    let cook = Cook {
        profile: "release".to_owned(),
        settings: BTreeMap::new(),
        target_dir: "/cooked/target".to_owned(),
        arguments: Vec::new(),
        graph: graph(layer),
    };
    Manifest {
        version: Manifest::VERSION,
        layer: format!("layer-{layer}"),
        environment: Environment::default(),
        cooks: vec![cook],
    }
}

fn benches(criterion: &mut Criterion) {
    let project = graph(0);
    let manifests: Vec<Manifest> = (0..16).map(manifest).collect();
    let layers: Vec<&Manifest> = manifests.iter().collect();
    let document = serde_json::to_vec(&manifests[0]).expect("a manifest is JSON");
    criterion.bench_function("keys of 600 units", |b| b.iter(|| black_box(&project).keys()));
    criterion.bench_function("read a manifest of 600 units", |b| b.iter(|| Manifest::parse(black_box(&document))));
    criterion.bench_function("600 units in 16 layers", |b| b.iter(|| reuse(black_box(&project), black_box(&layers))));
}

criterion_group!(group, benches);
criterion_main!(group);
