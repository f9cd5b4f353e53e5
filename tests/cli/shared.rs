//! Broken files that several layers import.

use serde_json::Value;

use crate::workshop::{RUST, Workshop};

/// Layers with the contracts in `schemas/`. The witness has contracts of its own, and a mistake in its Dockerfile that
/// is only found if it was evaluated.
fn shop(layers: &[&str]) -> Workshop {
    let shop = Workshop::new();
    for layer in layers {
        shop.layer(layer, RUST);
    }
    for schema in ["workflow.ncl", "types.ncl", "build_directives.ncl"] {
        shop.file(&format!("contracts/{schema}"), &shop.read(&format!("schemas/{schema}")));
    }
    shop.layer_with("m-witness", RUST, "build.target = \"missing\",");
    shop.replace("layers/m-witness/workflow.ncl", "schemas", "contracts");
    shop
}

/// Code and file of each finding, sorted.
fn told(shop: &Workshop) -> Vec<String> {
    let json = shop.run(["validate", "--format", "json"]).json(3);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |finding: &Value| format!("{} {}", text(&finding["code"]), text(&finding["file"]));
    let mut told: Vec<_> = json["findings"].as_array().unwrap().iter().map(of).collect();
    told.sort();
    told
}

#[test]
fn a_mistake_in_a_shared_schema_is_told_once_and_breaks_nothing_else() {
    let layers = ["a", "b", "c", "d", "e", "f", "g", "s", "t", "u", "v", "w", "x", "y", "z"];
    for (schema, before, after, code) in [
        ("types.ncl", "", "}", "syntax"),
        ("build_directives.ncl", "", "}", "syntax"),
        ("workflow.ncl", "", "}", "syntax"),
        ("types.ncl", "let _x : Number = \"x\" in\n", "", "type"),
        ("types.ncl", "let _x = unbound in\n", "", "evaluation"),
        ("types.ncl", "let _x = import \"nowhere.ncl\" in\n", "", "import"),
    ] {
        let shop = shop(&layers);
        let file = format!("schemas/{schema}");
        shop.file(&file, &format!("{before}{}{after}", shop.read(&file)));
        let mut expected = [format!("{code} {file}"), "target-unknown layers/m-witness/workflow.ncl".to_owned()];
        expected.sort();
        assert_eq!(told(&shop), expected, "{before}{after}");
    }
}

#[test]
fn what_is_told_of_a_shared_schema_is_the_same_each_time() {
    let shop = shop(&["a", "b", "y", "z"]);
    shop.append("schemas/types.ncl", "}").append("schemas/build_directives.ncl", "}");
    let first = shop.run(["validate"]).answer(3);
    for _ in 0..5 {
        assert_eq!(shop.run(["validate"]).answer(3), first);
    }
    assert_eq!(first.matches("error[syntax]").count(), 2, "{first}");
}

#[test]
fn which_layer_comes_first_does_not_matter() {
    // The first one imports the broken file through two others, the last one by itself.
    let shop = shop(&["a", "z"]);
    shop.append("schemas/types.ncl", "}");
    let own = "let { Kebab, .. } = import \"../../schemas/types.ncl\" in\n";
    let file = "layers/z/workflow.ncl";
    shop.file(file, &format!("{own}{}", shop.read(file).replace("schemas/workflow", "contracts/workflow")));
    let expected = ["syntax schemas/types.ncl", "target-unknown layers/m-witness/workflow.ncl"];
    assert_eq!(told(&shop), expected);
    shop.remove("layers/a/workflow.ncl");
    assert!(told(&shop).contains(&expected[0].to_owned()));
}
