//! Evaluation through real worker processes, on sources in memory.

mod limits;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lamina::catalog::eval::{self, Evaluated, Job, Kind, Limits, Outcome, Overlay, Record, Sources, WorkerCommand};
use lamina::catalog::raw;
use lamina::diag::{Code, Diagnostic};
use lamina::model::RelPath;

/// A catalog in memory: the real schemas and `catalog/`, and what a test adds.
struct Memory(BTreeMap<String, Arc<str>>);

impl Sources for Memory {
    fn text(&self, path: &RelPath) -> Result<Arc<str>, Box<Diagnostic>> {
        let missing = || Box::new(Diagnostic::new(Code::Import, format!("`{path}` does not exist")));
        self.0.get(path.as_str()).cloned().ok_or_else(missing)
    }
}

impl Memory {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = BTreeMap::new();
        for folder in ["schemas", "catalog", "adrs", "layers/rust"] {
            for entry in fs::read_dir(root.join(folder)).expect("the repository's own catalog is there") {
                let path = entry.expect("its folders can be read").path();
                if path.extension().is_some_and(|extension| extension == "ncl") {
                    let name = path.strip_prefix(root).expect("it lies below the root").to_str().expect("ASCII");
                    files.insert(name.to_owned(), fs::read_to_string(&path).expect("a text").into());
                }
            }
        }
        Self(files)
    }

    fn with(mut self, path: &str, text: impl Into<Arc<str>>) -> Self {
        self.0.insert(path.to_owned(), text.into());
        self
    }

    /// Adds a layer.
    fn layer(self, name: &str, text: impl Into<Arc<str>>) -> Self {
        self.with(&format!("layers/{name}/workflow.ncl"), text)
    }

    fn line(&self, finding: &Diagnostic) -> (String, usize) {
        let label = finding.labels.first().expect("a place");
        (label.file.clone(), self.0[&label.file][..label.span.start].matches('\n').count() + 1)
    }

    fn run(&self, jobs: &[Job], overlays: &[Overlay]) -> Vec<Outcome> {
        self.run_within(1024, jobs, overlays)
    }

    fn run_within(&self, memory_mb: u64, jobs: &[Job], overlays: &[Overlay]) -> Vec<Outcome> {
        let worker = WorkerCommand { program: env!("CARGO_BIN_EXE_lamina").into(), args: vec!["__evaluate".into()] };
        let limits = Limits { time: Duration::from_secs(2), memory_mb, workers: 2 };
        let outcomes = eval::evaluate(jobs, self, overlays, &limits, &worker).expect("workers start");
        assert_eq!(jobs, outcomes.iter().map(|outcome| outcome.job.clone()).collect::<Vec<_>>());
        for finding in outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err()).flatten() {
            assert!(!format!("{finding:?}").contains("<catalog>"), "{finding:#?}");
            assert!(finding.main_file().is_some(), "{finding:#?}");
        }
        outcomes
    }

    /// The findings of one layer. A second layer in the batch evaluates all the same.
    fn findings(&self, name: &str) -> Vec<Diagnostic> {
        let [outcome, next] = self.run(&[layer(name), layer("rust")], &[]).try_into().expect("two jobs");
        assert!(next.result.is_ok(), "{:#?}", next.result);
        outcome.result.err().unwrap_or_default()
    }
}

fn job(kind: Kind, path: &str) -> Job {
    Job { kind, path: RelPath::new(path).expect("a path inside") }
}

fn layer(name: &str) -> Job {
    job(Kind::Workflow, &format!("layers/{name}/workflow.ncl"))
}

/// A layer with everything that is mandatory, and `more`.
fn workflow(name: &str, more: &str) -> String {
    format!(
        r#"let {{ Workflow, .. }} = import "../../schemas/workflow.ncl" in
{{
  layer = "{name}",
  class = 'toolchain,
  summary = "a test",
  build_base = {{ image = "debian:trixie-slim" }},
  runtime_base = {{ layer = "rust" }},
  {more}
}} | Workflow
"#
    )
}

fn evaluated(outcome: &Outcome) -> &Evaluated {
    outcome.result.as_ref().unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn as_workflow(outcome: &Outcome) -> &raw::Workflow {
    match &evaluated(outcome).record {
        Record::Workflow(workflow) => workflow,
        other => panic!("{other:?}"),
    }
}

fn overlay(path: Option<&str>, text: &str) -> Overlay {
    let path = path.map(|path| RelPath::new(path).expect("a path inside"));
    Overlay { name: "the-overlay.ncl".to_owned(), path, text: text.into() }
}

/// The only finding of a layer `x` with this text has this code, names the file, and says these words.
#[track_caller]
fn assert_single(text: impl Into<Arc<str>>, code: Code, words: &str) -> Diagnostic {
    let findings = Memory::new().layer("x", text).findings("x");
    let [finding] = <[_; 1]>::try_from(findings).expect("one finding");
    assert_eq!(finding.code, code, "{finding:#?}");
    assert_eq!(finding.main_file(), Some("layers/x/workflow.ncl"), "{finding:#?}");
    assert_eq!(finding.layer.as_deref(), Some("x"));
    assert!(finding.message.contains(words), "{finding:#?}");
    finding
}

// What evaluates

#[test]
fn the_rust_layer_evaluates() {
    let outcomes = Memory::new().run(&[layer("rust")], &[]);
    let workflow = as_workflow(&outcomes[0]);
    assert_eq!(workflow.layer, "rust");
    assert_eq!(workflow.class, raw::Class::Toolchain);
    assert!(workflow.build_base.image.as_ref().is_some_and(|image| image.starts_with("rust:")));
    assert_eq!(workflow.build.dockerfile, "Dockerfile");
    assert_eq!(workflow.build.resources.memory_mb, Some(2048.0));
    assert_eq!(workflow.build.args["CARGO_CHEF_VERSION"], "0.1.78");
    assert_eq!(workflow.cooked, None);

    let imports: Vec<_> = outcomes[0].imports.iter().map(RelPath::as_str).collect();
    let expected = [
        "catalog/catalog.ncl",
        "schemas/build_directives.ncl",
        "schemas/catalog.ncl",
        "schemas/runners.ncl",
        "schemas/types.ncl",
    ];
    assert_eq!(imports, [&expected[..], &["schemas/workflow.ncl"]].concat());
}

#[test]
fn spans_lead_to_the_fields() {
    let memory = Memory::new();
    let outcomes = memory.run(&[layer("rust")], &[]);
    let text = &memory.0["layers/rust/workflow.ncl"];
    let spans = &evaluated(&outcomes[0]).spans;
    let at = |path: &str| {
        let (_, span) = spans.iter().find(|(candidate, _)| candidate == path).expect(path);
        &text[span.start as usize..span.end as usize]
    };
    assert_eq!(at("layer"), "\"rust\"");
    assert_eq!(at("build.args.CARGO_CHEF_VERSION"), "\"0.1.78\"");
    assert_eq!(at("tools_provided[1].probe"), "[\"rustc\", \"--version\"]");
    assert_eq!(at("build.resources.memory_mb"), "2048");
    assert!(at("").starts_with("{\n  layer") && at("").ends_with('}'));
    assert!(spans.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn catalog_axioms_and_decisions_evaluate() {
    let adrs = ["001-distinct-bases", "002-native-deps-declared", "003-directives-apart-from-runner"];
    let mut jobs = vec![job(Kind::Catalog, "catalog/catalog.ncl"), job(Kind::Axioms, "catalog/axioms.ncl")];
    jobs.extend(adrs.map(|name| job(Kind::Adr, &format!("adrs/{name}.ncl"))));
    for (index, outcome) in Memory::new().run(&jobs, &[]).iter().enumerate() {
        match (&evaluated(outcome).record, index) {
            (Record::Catalog(catalog), 0) => assert_eq!(catalog.debian.release, "trixie"),
            (Record::Axioms(axioms), 1) => assert_eq!(axioms.len(), 3),
            (Record::Adr(adr), _) => assert_eq!(adr.id, format!("{:03}", index - 1)),
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_batch_in_several_workers_keeps_its_order() {
    let names: Vec<_> = (0..130).map(|number| format!("layer-{number}")).collect();
    let memory = names.iter().fold(Memory::new(), |memory, name| memory.layer(name, workflow(name, "")));
    let jobs: Vec<_> = names.iter().map(|name| layer(name)).collect();
    for (name, outcome) in names.iter().zip(memory.run(&jobs, &[])) {
        assert_eq!(as_workflow(&outcome).layer, *name);
    }
}

#[test]
fn other_formats_can_be_imported() {
    let more = r#"
  docs = import "docs.md" as 'Text,
  build.args = import "args.json",
  tools_provided = [{ name = import "name.txt", probe = (import "probe.yaml").probe }],"#;
    let memory = Memory::new()
        .layer("x", workflow("x", more))
        .with("layers/x/docs.md", "# Documentation")
        .with("layers/x/args.json", r#"{"A": "1"}"#)
        .with("layers/x/name.txt", "tool")
        .with("layers/x/probe.yaml", "probe: [tool, --version]");
    let outcomes = memory.run(&[layer("x")], &[]);
    let workflow = as_workflow(&outcomes[0]);
    assert_eq!(workflow.docs.as_deref(), Some("# Documentation"));
    assert_eq!(workflow.build.args["A"], "1");
    assert_eq!(workflow.tools_provided[0].probe, ["tool", "--version"]);
    assert!(outcomes[0].imports.iter().any(|path| path.as_str() == "layers/x/probe.yaml"));
}

#[test]
fn imports_that_a_glance_at_the_text_misses_are_asked_for() {
    let memory = Memory::new()
        .layer("x", workflow("x", "docs = (import \"\\u{61}.ncl\").docs,"))
        .layer("y", workflow("y", "docs = (import \"\\u{61}.ncl\").docs,").replace("../../", "../../../layers/../../"))
        .with("layers/x/a.ncl", "import \"\\u{62}.ncl\"")
        .with("layers/x/b.ncl", "{ docs = \"found\" }");
    let outcomes = memory.run(&[layer("x"), layer("rust"), layer("y")], &[]);
    assert_eq!(as_workflow(&outcomes[0]).docs.as_deref(), Some("found"));
    assert_eq!(as_workflow(&outcomes[1]).layer, "rust");
    let findings = outcomes[2].result.as_ref().expect_err("it leaves the catalog on its way");
    assert!(findings[0].message.contains("cannot leave the catalog"), "{findings:#?}");
}

// Overlays

#[test]
fn an_overlay_shows_in_catalog_and_layers() {
    let jobs = [job(Kind::Catalog, "catalog/catalog.ncl"), layer("rust")];
    let outcomes = Memory::new().run(&jobs, &[overlay(None, "{ rust.version = \"1.90.0\" }")]);
    let Record::Catalog(catalog) = &evaluated(&outcomes[0]).record else { panic!("{outcomes:#?}") };
    assert_eq!(catalog.rust.version, "1.90.0");
    assert_eq!(as_workflow(&outcomes[1]).build_base.image.as_deref(), Some("rust:1.90.0-slim-trixie"));
    assert_eq!(outcomes[1].imports, Memory::new().run(&[layer("rust")], &[])[0].imports);
    assert!(outcomes[0].imports.iter().all(|path| path.as_str().starts_with("schemas/")));
}

#[test]
fn what_is_wrong_in_an_overlay_is_shown_there() {
    for (text, code, field) in [
        ("{\n regestry = \"x\" }", Code::UnknownField, "regestry"),
        ("{\n rust.versoin = \"1.90.0\" }", Code::UnknownField, "rust.versoin"),
        ("{\n rust.version = 1 }", Code::Contract, "rust.version"),
        ("{\n rust = }", Code::Syntax, ""),
        ("{\n registry = import \"/etc/passwd\" as 'Text }", Code::Import, ""),
        ("{\n registry = import \"../schemas/types.ncl\" }", Code::Import, ""),
    ] {
        let outcomes = Memory::new().run(&[layer("rust")], &[overlay(None, text)]);
        let findings = outcomes[0].result.as_ref().expect_err(text);
        let label = &findings[0].labels[0];
        assert_eq!((findings[0].code, label.file.as_str()), (code, "the-overlay.ncl"), "{findings:#?}");
        assert!(label.span.start > 1, "{findings:#?}");
        assert_eq!(findings[0].field.as_deref().unwrap_or(""), field, "{findings:#?}");
    }
}

#[test]
fn an_overlay_in_the_catalog_can_import() {
    let memory = Memory::new().with("catalog/overlays/version.ncl", "\"1.90.0\"");
    let overlay = overlay(Some("catalog/overlays/ci.ncl"), "{ rust.version = import \"version.ncl\" }");
    let outcomes = memory.run(&[layer("rust")], &[overlay]);
    assert_eq!(as_workflow(&outcomes[0]).build_base.image.as_deref(), Some("rust:1.90.0-slim-trixie"));
    let imports: Vec<_> = outcomes[0].imports.iter().map(RelPath::as_str).collect();
    assert!(imports.contains(&"catalog/overlays/version.ncl") && !imports.contains(&"catalog/overlays/ci.ncl"));
}

// Mistakes

#[test]
fn all_mistakes_of_a_file_are_reported_in_its_order() {
    let text = r#"let { Workflow, .. } = import "../../schemas/workflow.ncl" in
{
  layer = "X_y",
  class = 'toolchian,
  summary = 42,
  build_base = { image = "debian:trixie-slim", layer = "rust" },
  tools_provided = [
    { name = "ok", probe = ["a"] },
    { name = "bad name", probe = [] },
  ],
  artifact_paths = [{ path = "/a" }, { path = "relative" }],
  build = {
    resources = { memory_mb = 1.5, cpu = -1 },
    args.X = 3,
  },
} | Workflow
"#;
    let memory = Memory::new().layer("x", text);
    let findings = memory.findings("x");
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (memory.line(finding).1, finding.code, finding.field.as_deref().unwrap_or("")))
        .collect();
    let expected = [
        (2, Code::MissingField, "runtime_base"),
        (3, Code::Contract, "layer"),
        (4, Code::Contract, "class"),
        (5, Code::Contract, "summary"),
        (6, Code::Contract, "build_base"),
        (9, Code::Contract, "tools_provided[1].name"),
        (9, Code::Contract, "tools_provided[1].probe"),
        (11, Code::Contract, "artifact_paths[1].path"),
        (13, Code::Contract, "build.resources.memory_mb"),
        (13, Code::Contract, "build.resources.cpu"),
        (14, Code::Contract, "build.args.X"),
    ];
    assert_eq!(found, expected, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.main_file() == Some("layers/x/workflow.ncl")));
    assert_eq!(findings[1].message, "a layer name is kebab-case");
    assert!(findings[1].notes[0].contains("single dashes"));
    assert_eq!(findings[2].help, ["did you mean `'toolchain`?"]);
    assert!(findings[2].labels[1].file == "schemas/workflow.ncl");
}

#[test]
fn a_string_for_a_tag() {
    let text = workflow("x", "").replace("'toolchain", "\"toolchain\"");
    let finding = assert_single(text, Code::Contract, "expected an enum");
    assert_eq!(finding.help, ["write `'toolchain`, without quotes"]);
    assert_eq!(finding.field.as_deref(), Some("class"));
}

#[test]
fn unknown_fields_are_shown_where_they_stand() {
    for (more, field, help) in [
        ("sumary = 1,", "sumary", "did you mean `summary`?"),
        ("build.resource = {},", "build.resource", "did you mean `resources`?"),
        ("tools_provided = [{ name = \"a\", prob = [\"a\"] }],", "tools_provided[0].prob", "did you mean `probe`?"),
    ] {
        let text = workflow("x", more);
        let finding = assert_single(text.clone(), Code::UnknownField, "unknown field");
        let name = field.rsplit('.').next().expect("a name");
        assert_eq!(&text[finding.labels[0].span.clone()], name);
        assert_eq!(finding.field.as_deref(), Some(field));
        assert_eq!(finding.help, [help]);
    }
}

#[test]
fn mistakes_by_code() {
    let contract_forgotten = workflow("x", "").replace("} | Workflow", "}");
    for (text, code, words) in [
        (workflow("x", "layer = \"y\","), Code::MergeConflict, "non mergeable"),
        (workflow("x", "\n").replace("class =", "class"), Code::Syntax, "unexpected token"),
        (String::new(), Code::Syntax, "unexpected end of file"),
        (contract_forgotten, Code::ContractNotApplied, "missing field"),
        ("{ a = fun x => x }".to_owned(), Code::ContractNotApplied, "a function is no data"),
        ("let x : Number = \"s\" in { a = x }".to_owned(), Code::Type, "incompatible types"),
        ("{ a = b }".to_owned(), Code::Evaluation, "unbound identifier"),
        ("{ a = 1 + \"x\" }".to_owned(), Code::Evaluation, "type error"),
        ("import \"nothing.ncl\"".to_owned(), Code::Import, "does not exist"),
        ("import \"workflow.ncl\"".to_owned(), Code::Recursion, "infinite recursion"),
        (workflow("x", "build.resources.cpu = 1e400,"), Code::Contract, "out of range"),
    ] {
        assert_single(text, code, words);
    }
}

#[test]
fn a_broken_import_is_shown_in_its_file_for_each_importer() {
    for (text, code) in [("{ a = ", Code::Syntax), ("{ a : Number = \"x\" }", Code::Type)] {
        let more = "docs = (import \"../shared.ncl\").a,";
        let memory = Memory::new()
            .layer("x", workflow("x", more))
            .layer("y", workflow("y", more))
            .with("layers/shared.ncl", text);
        for outcome in memory.run(&[layer("x"), layer("y")], &[]) {
            let findings = outcome.result.expect_err("a broken import");
            assert_eq!((findings[0].code, findings[0].main_file()), (code, Some("layers/shared.ncl")), "{findings:#?}");
        }
    }
}

/// Jobs that share broken files in every way: each is told the same, whichever jobs come before it.
#[test]
fn what_a_job_is_told_does_not_depend_on_the_others() {
    let imports = [
        ("direct", "import \"../syntax.ncl\""),
        ("through", "(import \"../chain.ncl\").text"),
        ("beside", "(import \"../sibling.ncl\").text"),
        ("two", "(import \"../type.ncl\").text ++ (import \"../syntax.ncl\")"),
        ("other-two", "(import \"../syntax.ncl\") ++ (import \"../type.ncl\").text"),
        ("type", "(import \"../type.ncl\").text"),
        ("name", "(import \"../name.ncl\").text"),
        ("variable", "(import \"../variable.ncl\").text"),
        ("data", "(import \"../data.json\").text"),
        ("more-data", "(import \"../over-data.ncl\").text"),
        ("circle", "(import \"../circle.ncl\").text"),
        ("way-back", "(import \"../back.ncl\").text"),
        ("missing", "(import \"../missing.ncl\").text"),
        ("pattern", "let { a ? import \"../syntax.ncl\" } = {} in a"),
        ("pattern-in-pattern", "let { a ? let { b ? import \"../type.ncl\" } = {} in b } = {} in a.text"),
        ("hidden", "let x | [| 'A (import \"../hidden.ncl\") |] = 'A 1 in \"x\""),
        ("seen", "(import \"../hidden.ncl\").text"),
        ("include", "let a = 1 in ({ include a | (import \"../syntax.ncl\") }).a"),
        ("fine", "(import \"../good.ncl\").text"),
    ];
    let memory = Memory::new()
        .with("layers/syntax.ncl", "{ a = ")
        .with("layers/type.ncl", "{ text : Number = \"x\" }")
        .with("layers/name.ncl", "{ text = unbound }")
        .with("layers/variable.ncl", "{ text | forall a. b -> a = fun x => x, other = import \"sibling.ncl\" }")
        .with("layers/data.json", "{ \"text\": ")
        .with("layers/over-data.ncl", "{ a = import \"sibling.ncl\", b = import \"data.json\", text = b.text }")
        .with("layers/chain.ncl", "{ a = import \"sibling.ncl\", b = import \"syntax.ncl\", c = import \"good.ncl\" }")
        .with("layers/sibling.ncl", "{ text = (import \"good.ncl\").text }")
        .with("layers/circle.ncl", "{ back = import \"back.ncl\", text = back.text }")
        .with("layers/back.ncl", "{ other = import \"circle.ncl\", bad = import \"type.ncl\", text = \"x\" }")
        .with("layers/missing.ncl", "{ a = import \"nowhere.ncl\" }")
        .with("layers/hidden.ncl", "{ text : Number = \"x\", a = import \"sibling.ncl\" }")
        .with("layers/good.ncl", "{ text = \"x\" }");
    let memory = imports
        .iter()
        .fold(memory, |memory, (name, import)| memory.layer(name, workflow(name, &format!("docs = {import},"))));
    let told = |outcome: &Outcome| format!("{:#?}", (&outcome.imports, outcome.result.as_ref().map(|_| "fine")));
    let alone: BTreeMap<_, _> =
        imports.iter().map(|(name, _)| (layer(name), told(&memory.run(&[layer(name)], &[])[0]))).collect();

    let mut jobs: Vec<_> = alone.keys().cloned().collect();
    for turn in 0..8 {
        jobs.rotate_left(5);
        jobs[..12].reverse();
        for outcome in memory.run(&jobs, &[]) {
            assert_eq!(told(&outcome), alone[&outcome.job], "{:?} in turn {turn}", outcome.job);
        }
    }
    let codes = |name: &str| {
        let outcome = &memory.run(&[layer(name)], &[])[0];
        let findings = outcome.result.as_ref().err().into_iter().flatten();
        findings.map(|finding| (finding.code, finding.main_file().expect("a file").to_owned())).collect::<Vec<_>>()
    };
    let syntax = (Code::Syntax, "layers/syntax.ncl".to_owned());
    let wrong = (Code::Type, "layers/type.ncl".to_owned());
    for (name, expected) in [
        ("direct", vec![syntax.clone()]),
        ("through", vec![syntax.clone()]),
        ("two", vec![syntax.clone(), wrong.clone()]),
        ("other-two", vec![syntax.clone(), wrong.clone()]),
        ("way-back", vec![wrong.clone()]),
        ("pattern", vec![syntax.clone()]),
        ("pattern-in-pattern", vec![wrong.clone()]),
        ("include", vec![syntax]),
        ("data", vec![(Code::Syntax, "layers/data.json".to_owned())]),
        ("variable", vec![(Code::Evaluation, "layers/variable.ncl".to_owned())]),
        ("name", vec![(Code::Evaluation, "layers/name.ncl".to_owned())]),
        ("fine", vec![]),
        ("beside", vec![]),
    ] {
        assert_eq!(codes(name), expected, "{name}");
    }
}

#[test]
fn broken_data_is_shown_where_it_is_broken() {
    for (name, text) in [("a.json", "{\n \"a\": }"), ("a.toml", "a = 1\nb ="), ("a.yaml", "a: 1\n b: [")] {
        let memory = Memory::new().layer("x", format!("import \"{name}\"")).with(&format!("layers/x/{name}"), text);
        let findings = memory.findings("x");
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].code, Code::Syntax, "{findings:#?}");
        assert!(findings[0].labels.iter().any(|label| label.file.starts_with("layers/x/")), "{findings:#?}");
    }
}

#[test]
fn places_in_data_that_is_not_ascii() {
    for (name, text, place, message) in [
        ("a.yaml", "é: é\né: ]\na: 1", "]", "yaml parse error"),
        ("b.yaml", "é: [é", "", "yaml parse error"),
        ("a.json", "{\"é\": €}", "€", "json parse error"),
        ("b.json", "{\"é\": \"€", "\"", "json parse error"),
        ("a.toml", "é = \"é\"", "é ", "toml parse error: TOML parse error at line 1, column 1: invalid"),
        ("b.toml", "a = €", "€", "toml parse error: TOML parse error at line 1, column 5: string"),
    ] {
        let memory = Memory::new().layer("x", format!("import \"{name}\"")).with(&format!("layers/x/{name}"), text);
        let findings = memory.findings("x");
        let [finding] = findings.as_slice() else { panic!("{name}: {findings:#?}") };
        let shown = text.get(finding.labels[0].span.clone());
        assert_eq!((finding.code, shown), (Code::Syntax, Some(place)), "{name}: {finding:#?}");
        assert!(finding.message.starts_with(message), "{finding:#?}");
    }
}

#[test]
fn a_mistake_without_a_place_names_the_file() {
    for (docs, words) in [
        ("std.to_string (std.string.is_match \"(\" \"a\")", "regex parse error: (: error: unclosed group"),
        ("std.deserialize 'Json \"{\"", "json parse error"),
    ] {
        let finding = assert_single(workflow("x", &format!("docs = {docs},")), Code::Evaluation, words);
        assert_eq!(finding.labels, [], "{finding:#?}");
    }
}

#[test]
fn a_missing_import_of_a_shared_file_fails_each_importer() {
    let more = "docs = (import \"../shared.ncl\").a,";
    let memory = Memory::new()
        .layer("x", workflow("x", more))
        .layer("y", workflow("y", more))
        .with("layers/shared.ncl", "{ a = import \"nothing.ncl\" }");
    for outcome in memory.run(&[layer("x"), layer("y")], &[]) {
        let findings = outcome.result.expect_err("a missing import");
        assert_eq!((findings[0].code, findings[0].main_file()), (Code::Import, Some("layers/shared.ncl")));
    }
}

#[test]
fn the_name_of_a_missing_import_may_be_misspelled() {
    for (import, help) in [
        ("../../schemas/workflo.ncl", &["did you mean `workflow.ncl`?"] as &[&str]),
        ("../../schemas/something.ncl", &[]),
        ("../../schema/workflow.ncl", &[]),
        ("../rust/workflaw.ncl", &["did you mean `workflow.ncl`?"]),
        ("workflaw.ncl", &[]),
    ] {
        let text = workflow("x", &format!("docs = import \"{import}\","));
        assert_eq!(assert_single(text, Code::Import, "does not exist").help, help, "{import}");
    }
}

#[test]
fn a_job_may_ask_for_many_files_and_not_for_any_number() {
    let chain = |length: usize| {
        let link = |memory: Memory, number: usize| {
            let text = if number == length { "\"end\"".to_owned() } else { hidden_import(number + 1) };
            memory.with(&format!("layers/x/f{number}.ncl"), text)
        };
        let memory = Memory::new().layer("x", workflow("x", &format!("docs = {},", hidden_import(0))));
        (0..=length).fold(memory, link).findings("x")
    };
    assert_eq!(chain(20), []);
    let findings = chain(64);
    assert!(findings[0].message.contains("nested more than 64"), "{findings:#?}");
}

/// An import of the file `f<number>.ncl` that a glance at the text misses.
fn hidden_import(number: usize) -> String {
    format!("import \"\\u{{66}}{number}.ncl\"")
}

#[test]
fn a_job_without_its_file() {
    let outcomes = Memory::new().run(&[layer("nowhere"), layer("rust")], &[]);
    assert_eq!(outcomes[0].result.as_ref().expect_err("no file")[0].main_file(), Some("layers/nowhere/workflow.ncl"));
    assert!(outcomes[1].result.is_ok());
}

// Hostile input: each is a finding, and the next layer evaluates
