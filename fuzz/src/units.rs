//! A unit graph as cargo writes it, or the unit manifest of a layer.

use std::collections::BTreeSet;

use lamina::unit::{Manifest, UnitGraph, cone_of, costs, reuse, wall};

pub fn run(data: &[u8]) {
    if let Ok(graph) = UnitGraph::parse(data) {
        check(&graph);
    }
    if let Ok(manifest) = Manifest::parse(data) {
        for cook in &manifest.cooks {
            check(&cook.graph);
            let found = reuse(&cook.graph, &[&manifest]);
            for (unit, source) in cook.graph.units.iter().zip(&found.units) {
                assert!(source.is_none() || cook.graph.is_shareable(unit));
                assert!(source.is_none_or(|source| source.output(&[&manifest]).is_some()));
            }
            assert_eq!(costs([&cook.graph], &[&manifest])[0].cpu_ms.len(), cook.graph.units.len());
        }
        let written = serde_json::to_vec(&manifest).expect("it can be written");
        assert_eq!(Manifest::parse(&written), Ok(manifest));
    }
}

/// What holds for each graph that was read.
fn check(graph: &UnitGraph) {
    let count = graph.units.len();
    assert_eq!((graph.keys().len(), graph.shareable().len()), (count, count));
    let order = graph.order().expect("what was read has no circles");
    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), count);
    for start in 0..count.min(3) {
        let cone = cone_of(graph, [start]);
        assert!(cone.units.iter().all(|&unit| cone.chain(unit).last() == Some(&start)));
    }
    let times = vec![u64::MAX / 2; count];
    let range = wall(graph, &times, 4);
    assert!(range.least_ms <= range.most_ms);
}
