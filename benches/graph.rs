//! The graph's own work over 10,000 layers: `cargo bench --bench graph`.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lamina::graph::Graph;
use lamina::model::{Base, Build, Class, EdgeKind, Hooks, Layer, LayerName, RelPath, Resources};

/// A layer that builds on another one.
fn layer(number: usize) -> Layer {
    let name = |number: usize| -> LayerName { format!("layer-{number}").parse().expect("a valid name") };
    let base = match number {
        0 => Base::Image("rust:1".parse().expect("a valid reference")),
        _ => Base::Layer(name((number * 7919 + 13) % number)),
    };
    Layer {
        name: name(number),
        class: Class::Toolchain,
        summary: String::new(),
        docs: None,
        build_base: base.clone(),
        runtime_base: base,
        donors: Vec::new(),
        native_deps: Vec::new(),
        tools: Vec::new(),
        artifacts: Vec::new(),
        cooked: None,
        tags: Vec::new(),
        build: Build {
            dockerfile: RelPath::root(),
            context: RelPath::root(),
            target: None,
            args: Default::default(),
            contexts: BTreeMap::new(),
            ssh: Vec::new(),
            network: lamina::model::Network::Default,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            secrets: Vec::new(),
            platforms: Vec::new(),
            resources: Resources {
                cpu: Some(1),
                memory_mb: Some(1),
                disk_mb: 1,
                time_budget_min: Some(1),
                expected_min: None,
            },
            cache_version: 0,
        },
        hooks: Hooks::default(),
    }
}

fn benches(criterion: &mut Criterion) {
    let layers: Vec<Layer> = (0..10_000).map(layer).collect();
    let graph = Graph::new(layers.iter());
    let all: BTreeSet<LayerName> = graph.names().cloned().collect();
    let (root, last) = (&layers[0].name, &layers[9_999].name);
    criterion.bench_function("build the graph", |b| b.iter(|| Graph::new(black_box(layers.iter()))));
    criterion.bench_function("reach from the root", |b| b.iter(|| graph.reach(black_box(std::iter::once(root)))));
    criterion.bench_function("waves of all layers", |b| b.iter(|| graph.waves(black_box(&all)).len()));
    criterion.bench_function("ancestors of the last layer", |b| {
        b.iter(|| graph.ancestors(black_box(last), &[EdgeKind::Build]).len());
    });
}

criterion_group! {
    name = graph;
    config = Criterion::default().sample_size(20);
    targets = benches
}
criterion_main!(graph);
