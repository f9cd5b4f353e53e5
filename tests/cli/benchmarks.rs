//! The catalogs that benchmarks run on are what they are taken for.

use crate::workshop::Workshop;

#[path = "../../benches/synthetic/mod.rs"]
mod synthetic;

#[test]
fn a_synthetic_catalog_is_valid_and_all_of_it_stands_on_its_root() {
    let shop = Workshop::new();
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(folder.path(), 60).unwrap();
    let catalog = folder.path().to_str().unwrap();
    shop.run(["--catalog", catalog, "validate", "--check-dag", "--format", "json"]).json(0);
    let answer =
        shop.run(["--catalog", catalog, "cascade", "--changed", &synthetic::name(0), "--format", "json"]).json(0);
    assert_eq!(answer["affected"].as_array().map(Vec::len), Some(60), "{answer:#}");
}
