//! Hostile and broken input, each row of the table in the design note on Nickel: it has to end soon, with a finding
//! that names the file, and without harm to the other layers.
//!
//! Several hostile layers share a catalog, at most four of those that break the evaluator: with the fifth one it
//! leaves the rest alone. The witness has a mistake in its Dockerfile, which is only found if it was evaluated.

use std::collections::{BTreeMap, BTreeSet};

use crate::workshop::{RUST, WORKFLOW, Workshop};

/// What ends whatever does not end by itself. Which limit is hit first differs from machine to machine.
const LIMITS: &[&str] = &["limit-time", "limit-memory", "limit-depth"];

/// Evaluates hostile layers beside the witness; each has to get findings of these codes and no others.
#[track_caller]
fn survive(layers: &[(&str, String, &[&str])]) {
    let shop = Workshop::new();
    for (name, text, _) in layers {
        shop.file(&format!("layers/{name}/workflow.ncl"), text);
    }
    let expected: Vec<(&str, &[&str])> = layers.iter().map(|(name, _, codes)| (*name, *codes)).collect();
    survive_in(&shop, &expected);
}

#[track_caller]
fn survive_in(shop: &Workshop, layers: &[(&str, &[&str])]) {
    shop.layer_with("witness", RUST, "build.target = \"missing\",");
    let args = ["validate", "--format", "json", "--eval-timeout", "2", "--eval-memory", "512"];
    let answer = shop.run(args).json(3);
    assert_eq!(answer["layers"], layers.len() + 1);
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for finding in answer["findings"].as_array().unwrap() {
        let (layer, file) = (finding["layer"].as_str().unwrap(), finding["file"].as_str().unwrap());
        assert!(file.starts_with(&format!("layers/{layer}/")), "{finding:#}");
        found.entry(layer).or_default().insert(finding["code"].as_str().unwrap());
    }
    assert_eq!(found.remove("witness"), Some(BTreeSet::from(["target-unknown"])), "{answer:#}");
    for (layer, codes) in layers {
        let told = found.remove(layer).unwrap_or_default();
        let is_expected = told.iter().all(|code| codes.contains(code)) && told.is_empty() == codes.is_empty();
        assert!(is_expected, "{layer}: {told:?} instead of {codes:?}\n{answer:#}");
    }
    assert!(found.is_empty(), "{found:?}");
}

/// A valid layer with a `docs` that is computed so.
fn docs(name: &str, expression: &str) -> String {
    let base = format!("{{ image = \"{RUST}\" }}");
    format!(
        "{WORKFLOW}{{\n  layer = \"{name}\",\n  class = 'toolchain,\n  summary = \"s\",\n  build_base = {base},\n  \
         runtime_base = {base},\n  docs = {expression},\n}} | Workflow\n"
    )
}

#[test]
fn what_needs_itself_is_recursion() {
    let shop = Workshop::new();
    shop.file("layers/mutual/workflow.ncl", "{ a = b, b = a }");
    shop.file("layers/self-import/workflow.ncl", "import \"workflow.ncl\"");
    shop.file("layers/circle/workflow.ncl", "import \"other.ncl\"")
        .file("layers/circle/other.ncl", "import \"workflow.ncl\"");
    survive_in(&shop, &[("mutual", &["recursion"]), ("self-import", &["recursion"]), ("circle", &["recursion"])]);
}

#[test]
fn an_import_cycle_without_a_value_cycle_is_no_mistake() {
    let shop = Workshop::new();
    shop.layer_with("lazy", RUST, "docs = (import \"other.ncl\").text,");
    shop.file("layers/lazy/other.ncl", "{ text = \"a\", back = (import \"workflow.ncl\").summary }");
    shop.run(["validate"]).stderr("1 layer, 8 checks: no problem\n").success();
}

#[test]
fn endless_evaluation_is_ended() {
    survive(&[
        ("endless", "let rec f = fun x => f (x + 1) in f 0".to_owned(), LIMITS),
        ("structure", "let rec f = fun n => { v = n, next = f (n + 1) } in f 0".to_owned(), LIMITS),
        (
            "contract",
            docs("contract", "\"a\" | std.contract.custom (fun label value => let rec f = fun x => f x in f value)"),
            LIMITS,
        ),
        (
            "record",
            format!("let d = fun r => {{ a = r, b = r }} in {}{{}}{}", "d (".repeat(30), ")".repeat(30)),
            LIMITS,
        ),
    ]);
}

#[test]
fn bombs_are_ended() {
    survive(&[
        ("array", format!("let d = fun a => a @ a in {}[1]{}", "d (".repeat(40), ")".repeat(40)), LIMITS),
        ("string", format!("let d = fun s => s ++ s in {}\"ab\"{}", "d (".repeat(40), ")".repeat(40)), LIMITS),
        ("literal", "1e1000000000".to_owned(), LIMITS),
        ("power", "std.number.pow 10 1e9".to_owned(), LIMITS),
    ]);
}

#[test]
fn bombs_of_another_kind_are_ended() {
    let shop = Workshop::new();
    let steps: String = (1..30).map(|n| format!("let r{n} = {{ a = r{0} & r{0}, b = r{0} }} in ", n - 1)).collect();
    shop.file("layers/merge/workflow.ncl", &format!("let r0 = {{ x = 1 }} in {steps}r29"));
    shop.file("layers/replicate/workflow.ncl", "std.array.replicate 1e8 { a = \"x\" }");
    let anchors: String = ('b'..='j')
        .map(|name| {
            let before = char::from(name as u8 - 1);
            format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", "))
        })
        .collect();
    shop.file("layers/yaml/workflow.ncl", "import \"bomb.yaml\"");
    shop.file("layers/yaml/bomb.yaml", &format!("a: &a [x, x, x, x, x, x, x, x, x, x]\n{anchors}"));
    survive_in(&shop, &[("merge", LIMITS), ("replicate", LIMITS), ("yaml", LIMITS)]);
}

#[test]
fn deep_nesting_in_the_source_is_ended() {
    const N: usize = 100_000;
    survive(&[
        ("arrays", "[".repeat(N) + &"]".repeat(N), LIMITS),
        ("records", "{a=".repeat(N) + "1" + &"}".repeat(N), LIMITS),
        ("strings", "\"%{".repeat(N) + "\"a\"" + &"}\"".repeat(N), LIMITS),
        ("lets", "let a = 1 in ".repeat(70_000) + "a", LIMITS),
    ]);
}

#[test]
fn deep_nesting_of_other_kinds_is_ended() {
    let shop = Workshop::new();
    shop.file("layers/sum/workflow.ncl", &format!("1{}", "+1".repeat(400_000)));
    shop.file("layers/path/workflow.ncl", &format!("{{}}{}", ".a".repeat(400_000)));
    shop.file("layers/arrow/workflow.ncl", &format!("1 | {}Number", "Number -> ".repeat(100_000)));
    shop.file("layers/json/workflow.ncl", "import \"deep.json\"");
    shop.file("layers/json/deep.json", &("[".repeat(400_000) + &"]".repeat(400_000)));
    // Some of these depths are refused with an error of Nickel's own.
    let clean = &["limit-depth", "limit-time", "evaluation", "contract", "contract-not-applied", "syntax", "type"];
    survive_in(&shop, &[("sum", clean), ("path", clean), ("arrow", clean), ("json", clean)]);
}

#[test]
fn a_deep_value_is_ended() {
    let value = "std.array.fold_left (fun value _ => [value]) [] (std.array.range 0 1000000)";
    survive(&[("value", value.to_owned(), LIMITS)]);
}

#[test]
fn what_is_only_large_evaluates() {
    let parentheses = format!("{}\"a\"{}", "(".repeat(10_000), ")".repeat(10_000));
    let fold = "std.to_string (std.array.fold_left (fun a b => a + b) 0 (std.array.range 0 3000))";
    survive(&[
        ("parentheses", docs("parentheses", &parentheses), &["dockerfile-missing"]),
        ("fold", docs("fold", fold), &["dockerfile-missing"]),
        ("line-ends", docs("line-ends", "\"a\"").replace('\n', "\r\n"), &["dockerfile-missing"]),
        ("nul", docs("nul", "\"a\\u{0}b\""), &["dockerfile-missing"]),
    ]);
}

#[test]
fn what_nickel_refuses_is_told() {
    survive(&[
        ("replicate", docs("replicate", "std.array.replicate 1e10 \"a\""), &["contract", "evaluation", "limit-memory"]),
        ("range", docs("range", "std.array.range 0 1e12"), &["contract", "evaluation", "limit-memory", "limit-time"]),
        ("regex", docs("regex", "std.string.is_match \"((a{1000}){1000}){1000}\" \"a\""), &["evaluation"]),
        ("function", docs("function", "fun x => x"), &["contract"]),
        ("bare-function", "{ a = fun x => x }".to_owned(), &["contract-not-applied"]),
    ]);
    let number =
        |value: &str| docs("x", "\"a\"").replace("docs =", &format!("build.resources.cpu = {value},\n  docs ="));
    survive(&[
        ("infinite", number("1e1000000").replace("\"x\"", "\"infinite\""), &["contract"]),
        ("fraction", number("1.5").replace("\"x\"", "\"fraction\""), &["contract"]),
        ("negative", number("-1").replace("\"x\"", "\"negative\""), &["contract"]),
        ("large", number("1e300").replace("\"x\"", "\"large\""), &["contract"]),
    ]);
}

#[test]
fn files_that_are_no_text_are_refused() {
    let shop = Workshop::new();
    shop.bytes("layers/not-utf8/workflow.ncl", b"{ layer = \"\xff\" }");
    shop.bytes("layers/utf16/workflow.ncl", b"\xff\xfe{\0}\0");
    shop.file("layers/mark/workflow.ncl", "\u{feff}{}").file("layers/empty/workflow.ncl", "");
    shop.file("layers/large/workflow.ncl", &docs("large", &format!("\"{}\"", "a".repeat(1 << 20))));
    shop.fifo("layers/pipe/workflow.ncl").link("layers/zero/workflow.ncl", "/dev/zero");
    shop.file("layers/folder/workflow.ncl/a", "").link("layers/out/workflow.ncl", "/etc/passwd");
    shop.link("layers/up/workflow.ncl", "../../../home/x").link("layers/circle/workflow.ncl", "workflow.ncl");
    survive_in(
        &shop,
        &[
            ("not-utf8", &["not-utf8"]),
            ("utf16", &["not-utf8"]),
            ("mark", &["syntax"]),
            ("empty", &["syntax"]),
            ("large", &["too-large"]),
            ("pipe", &["not-a-file"]),
            ("zero", &["not-a-file"]),
            ("folder", &["not-a-file"]),
            ("out", &["not-a-file"]),
            ("up", &["not-a-file"]),
            ("circle", &["not-a-file"]),
        ],
    );
}

#[test]
fn imports_of_what_is_no_text_are_refused() {
    let shop = Workshop::new();
    let import = |name: &str, file: &str| {
        shop.file(&format!("layers/{name}/workflow.ncl"), &docs(name, &format!("import \"{file}\" as 'Text")));
    };
    import("pipe", "pipe.txt");
    shop.fifo("layers/pipe/pipe.txt");
    import("zero", "zero.txt");
    shop.link("layers/zero/zero.txt", "/dev/zero");
    import("large", "large.txt");
    shop.file("layers/large/large.txt", &"a".repeat((1 << 20) + 1));
    import("not-utf8", "x.txt");
    shop.bytes("layers/not-utf8/x.txt", b"\xff");
    import("folder", ".");
    let refused = [
        ("pipe", &["not-a-file"] as &[&str]),
        ("zero", &["not-a-file"]),
        ("large", &["too-large"]),
        ("not-utf8", &["not-utf8"]),
        ("folder", &["not-a-file"]),
    ];
    survive_in(&shop, &refused);
}

#[test]
fn after_five_files_that_broke_the_evaluator_the_rest_is_left_alone() {
    let shop = Workshop::new();
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for name in ["a", "b", "c", "d", "e", "f"] {
        shop.file(&format!("layers/{name}/workflow.ncl"), &deep);
    }
    shop.layer("good", RUST);
    let answer = shop.run(["validate", "--format", "json"]).json(3);
    let of = |code: &str| -> Vec<&str> {
        let findings = answer["findings"].as_array().unwrap().iter();
        findings.filter(|finding| finding["code"] == code).map(|finding| finding["file"].as_str().unwrap()).collect()
    };
    let left_alone = ["catalog/catalog.ncl", "layers/f/workflow.ncl", "layers/good/workflow.ncl"];
    assert_eq!((of("limit-depth").len(), of("not-evaluated")), (5, left_alone.to_vec()), "{answer:#}");
    insta::assert_snapshot!(shop.run(["validate"]).snapshot());
}

#[test]
fn the_time_limit_names_the_file_and_the_way_out() {
    let shop = Workshop::new();
    shop.file("layers/endless/workflow.ncl", "let rec f = fun x => f x in f 0");
    shop.run(["validate", "--eval-timeout", "1"])
        .stdout(
            "error[limit-time]: evaluation took longer than 1 s and was ended\n--> layers/endless/workflow.ncl\n \
             = help: simplify the file, or raise the limit with `--eval-timeout`\n\n",
        )
        .stderr("1 layer (1 can't be used), 8 checks: 1 error\n")
        .code(3);
}
