//! SARIF: valid, complete, exact about places, and the same in every run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use lamina::checks::CHECKS;
use lamina::diag::{Code, Diagnostic, Severity};
use lamina::report::diagnostics;
use lamina::report::place::{Located, Sources};
use lamina::report::sarif::SarifReport;
use serde_json::Value;

use crate::workshop::{RUST, Workshop};

/// The schema that OASIS published, as the crate serde-sarif carries it. Cargo knows where that lies.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let output = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let rustc = output(Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("-vV"));
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let args = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host];
    let metadata = output(Command::new(env!("CARGO")).args(args).current_dir(env!("CARGO_MANIFEST_DIR")));
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "serde-sarif");
    let manifest = Path::new(package.unwrap()["manifest_path"].as_str().unwrap());
    let schema = fs::read_to_string(manifest.parent().unwrap().join("src/schema.json")).unwrap();
    // A bracket too many, which no regular expression of today's standards may have. lamina writes no language.
    let schema = schema.replace("^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["title"], "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema");
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
});

/// Holds a log against the published schema, and reads it as another program does.
#[track_caller]
fn valid(log: &Value) {
    let errors: Vec<String> =
        SCHEMA.iter_errors(log).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{log:#}");
    let read: serde_sarif::sarif::Sarif = serde_json::from_value(log.clone()).unwrap();
    assert_eq!(read.runs[0].results.as_ref().map(Vec::len), log["runs"][0]["results"].as_array().map(Vec::len));
}

/// A catalog with findings of all kinds: with places and without, in several files, with characters of one to four
/// bytes before them; in a folder of its repository, with an overlay outside of it.
pub fn broken() -> (Workshop, PathBuf) {
    let shop = Workshop::nested("build/catalog");
    shop.layer("words", RUST).replace("layers/words/workflow.ncl", "'toolchain", "'tool");
    shop.replace("layers/words/workflow.ncl", ",\n  class", ", docs = \"é😀\", class");
    shop.layer("copies", RUST)
        .append("layers/copies/Dockerfile", "COPY --from=node:24 / /\r\n\tCOPY --from=node:24 / /\n");
    shop.layer("crlf", RUST);
    let text = shop.read("layers/crlf/workflow.ncl").replace("summary", "/*ä😀*/ sumary").replace('\n', "\r\n");
    shop.file("layers/crlf/workflow.ncl", &text.replace("/*ä😀*/ ", "docs = \"ä😀\", "));
    shop.layer("child", "bsae").layer("bare", RUST).remove("layers/bare/Dockerfile").file("layers/empty/x", "");
    shop.layer("bytes", RUST).bytes("layers/bytes/Dockerfile", b"FROM \xff");
    shop.layer_with("named", RUST, "build.dockerfile = \"Docker file,1:ü%.x\",");
    shop.file("layers/named/Docker file,1:ü%.x", "FROM node:24\n").commit("broken");
    let overlay = shop.outside().join("over lay.ncl");
    fs::write(&overlay, "{ nameX = \"é😀\", other = 1 }").unwrap();
    (shop, overlay)
}

/// What `validate` says of the broken catalog, in a format.
fn validate(shop: &Workshop, overlay: &Path, format: &str) -> Value {
    let args = ["validate", "--check-dag", "--overlay", overlay.to_str().unwrap(), "--format", format];
    shop.run(args).any_stderr().json(3)
}

/// The text between two places of lines and UTF-16 columns, both from 1; lines end as SARIF says by default.
fn cut(text: &str, region: &Value) -> String {
    let number = |name: &str| usize::try_from(region[name].as_u64().unwrap()).unwrap();
    let offset = |line: usize, column: usize| {
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let units: Vec<u16> = text[start..].encode_utf16().take(column - 1).collect();
        start + String::from_utf16(&units).expect("a column is no half of a character").len()
    };
    let (start, end) =
        (offset(number("startLine"), number("startColumn")), offset(number("endLine"), number("endColumn")));
    text[start..end].to_owned()
}

/// The file that a location names: `%XX` are bytes, and what is relative lies in the repository.
fn file(shop: &Workshop, location: &Value) -> PathBuf {
    let uri = location["uri"].as_str().unwrap();
    let mut bytes = Vec::new();
    let mut rest = uri.strip_prefix("file://").unwrap_or(uri).bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap() as u8;
        bytes.push(if byte == b'%' { digit() * 16 + digit() } else { byte });
    }
    let path = String::from_utf8(bytes).unwrap();
    match location.get("uriBaseId") {
        Some(base) => {
            assert_eq!(base, "%SRCROOT%");
            assert!(!path.starts_with('/') && !path.contains(".."), "{path}");
            shop.outside().join("repository").join(path)
        }
        None => path.replace("[OUTSIDE]", shop.outside().to_str().unwrap()).into(),
    }
}

#[test]
fn logs_keep_the_published_schema() {
    let (shop, overlay) = broken();
    // The workshop puts a word in brackets into an address, which is none then.
    let log = validate(&shop, &overlay, "sarif").to_string().replace("[OUTSIDE]", "/outside");
    valid(&serde_json::from_str(&log).unwrap());
    let args = ["validate", "--format", "sarif", "--help-base", "https://example.org/checks.md"];
    valid(&Workshop::real().run(args).json(0));
    let shop = Workshop::new();
    valid(&shop.file("catalog/catalog.ncl", "{").run(["validate", "--format", "sarif"]).json(3));
    // The test can fail: the schema knows what is missing and what is too much.
    let mut log = shop.run(["validate", "--format", "sarif"]).json(3);
    log["runs"][0]["results"][0]["added"] = 1.into();
    assert!(!SCHEMA.is_valid(&log));
}

#[test]
fn every_finding_is_a_result_at_its_exact_place() {
    let (shop, overlay) = broken();
    let (log, json) = (validate(&shop, &overlay, "sarif"), validate(&shop, &overlay, "json"));
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "utf16CodeUnits");
    let (results, findings) = (run["results"].as_array().unwrap(), json["findings"].as_array().unwrap());
    assert_eq!(results.len(), findings.len());
    let mut codes = BTreeSet::new();
    let (mut cuts, mut without, mut outside) = (Vec::new(), 0, 0);
    for (result, finding) in results.iter().zip(findings) {
        codes.insert(result["ruleId"].as_str().unwrap());
        assert_eq!((&result["ruleId"], &result["level"]), (&finding["code"], &finding["severity"]));
        assert_eq!(
            run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize]["id"],
            finding["code"]
        );
        let message = result["message"]["text"].as_str().unwrap();
        assert!(message.starts_with(finding["message"].as_str().unwrap()), "{message}");
        for said in finding["notes"].as_array().unwrap().iter().chain(finding["help"].as_array().unwrap()) {
            assert!(message.contains(said.as_str().unwrap()), "{message}");
        }
        for about in ["layer", "field"] {
            assert_eq!(result["properties"].get(about).unwrap_or(&Value::Null), &finding[about]);
        }
        let labels = finding["labels"].as_array().unwrap();
        let related = result.get("relatedLocations").and_then(Value::as_array);
        let locations: Vec<&Value> =
            result["locations"].as_array().unwrap().iter().chain(related.into_iter().flatten()).collect();
        assert_eq!(locations.len(), labels.len().max(1));
        if labels.is_empty() {
            let named = finding["file"].as_str().unwrap_or("catalog/catalog.ncl");
            let place = &locations[0]["physicalLocation"];
            assert_eq!(file(&shop, &place["artifactLocation"]), shop.root().join(named));
            assert!(place.get("region").is_none());
            without += 1;
        }
        for (location, label) in locations.iter().zip(labels) {
            let place = &location["physicalLocation"];
            let path = file(&shop, &place["artifactLocation"]);
            outside += usize::from(path == overlay);
            let Ok(text) = fs::read_to_string(path) else { continue };
            let at = |end: &str| usize::try_from(label[end]["offset"].as_u64().unwrap()).unwrap();
            assert_eq!(cut(&text, &place["region"]), text[at("start")..at("end")], "{finding:#}");
            cuts.push(cut(&text, &place["region"]));
        }
    }
    for code in [
        "contract",
        "unknown-field",
        "unknown-layer",
        "from-undeclared",
        "dockerfile-missing",
        "layer-folder",
        "not-utf8",
    ] {
        assert!(codes.contains(code), "{code} in {codes:?}");
    }
    for text in ["'tool", "sumary", "nameX", "other", "node:24"] {
        assert!(cuts.iter().any(|cut| cut == text), "{text} in {cuts:?}");
    }
    assert!(without > 0 && outside > 1, "{without} {outside}");
}

#[test]
fn each_code_is_a_rule_with_its_help() {
    let run = |args: &[&str]| {
        let args = [&["validate", "--format", "sarif"], args].concat();
        Workshop::real().run_with(&args, "", b"", &[]).json(0)["runs"][0].clone()
    };
    let plain = run(&[]);
    assert_eq!(plain["tool"]["driver"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(plain["automationDetails"]["id"], "lamina/validate/");
    assert_eq!(plain["invocations"][0]["executionSuccessful"], true);
    let linked = run(&["--help-base", "https://example.org/checks.md"]);
    let rules = |run: &Value| run["tool"]["driver"]["rules"].as_array().unwrap().clone();
    assert_eq!(rules(&plain).len(), Code::ALL.len());
    for ((rule, linked), code) in rules(&plain).iter().zip(rules(&linked)).zip(Code::ALL) {
        assert_eq!(rule["id"], code.as_str());
        assert_eq!(rule["name"], format!("{code:?}"));
        assert_eq!(rule["shortDescription"]["text"], code.summary());
        assert_eq!(rule["fullDescription"]["text"], code.explanation());
        for form in ["text", "markdown"] {
            let help = rule["help"][form].as_str().unwrap();
            assert!(help.contains(code.summary()) && help.contains(code.explanation()), "{help}");
        }
        let level = if code.severity() == Severity::Warning { "warning" } else { "error" };
        assert_eq!(rule["defaultConfiguration"]["level"], level);
        let checks: Vec<&str> =
            CHECKS.iter().filter(|check| check.codes.contains(code)).map(|check| check.name).collect();
        assert_eq!(rule["properties"]["tags"], serde_json::json!(checks));
        assert_eq!(rule.get("helpUri"), None);
        assert_eq!(linked["helpUri"], format!("https://example.org/checks.md#{code}"));
    }
}

#[test]
fn a_finding_is_known_again_when_its_lines_have_moved() {
    let (shop, overlay) = broken();
    let fingerprints = || -> Vec<String> {
        let log = validate(&shop, &overlay, "sarif");
        let results = log["runs"][0]["results"].as_array().unwrap();
        results
            .iter()
            .map(|result| result["partialFingerprints"]["laminaFinding/v1"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = fingerprints();
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), before.len(), "two findings have one fingerprint");
    for path in ["layers/copies/Dockerfile", "layers/words/workflow.ncl", "layers/named/Docker file,1:ü%.x"] {
        shop.file(path, &format!("# Another line.\n\n{}", shop.read(path)));
    }
    assert_eq!(fingerprints(), before);
    // One mistake less, and all others are the same still.
    shop.replace("layers/words/workflow.ncl", "'tool", "'toolchain");
    let after = fingerprints();
    assert_eq!(after.len(), before.len() - 1);
    assert!(after.iter().all(|one| before.contains(one)));
}

#[test]
fn nothing_of_the_machine_is_in_a_log() {
    let (shop, _) = broken();
    let log = shop.run(["validate", "--format", "sarif"]).any_stderr().answer(3);
    assert_eq!(log, broken().0.run(["validate", "--format", "sarif"]).any_stderr().answer(3));
    // The workshop puts these words where a path of the machine stood.
    assert!(!log.contains("[CATALOG]") && !log.contains("[OUTSIDE]"), "{log}");
    assert_eq!(
        serde_json::from_str::<Value>(&log).unwrap()["runs"][0]["automationDetails"]["id"],
        "lamina/validate/build/catalog/"
    );
}

#[test]
fn findings_of_all_weights_are_kept_in_their_order() {
    let finding = |severity| Diagnostic::new(Code::Cycle, "a [link](https://example.org)").severity(severity);
    let findings = [
        finding(Severity::Warning),
        finding(Severity::Note).note("a note"),
        finding(Severity::Error).label("b", 3..3, "").label("a", 0..99, "said"),
        finding(Severity::Note).file("a"),
    ];
    let sources = Sources {
        texts: &|file| (file == "a").then(|| Arc::from("😀\n")),
        locate: &|file| Located::Inside(format!("sub/{file}")),
    };
    let log = SarifReport { findings: &findings, sources, folder: "sub", help_base: None }.text();
    let log: Value = serde_json::from_str(&log).unwrap();
    valid(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let levels: Vec<&str> = results.iter().map(|result| result["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["warning", "note", "error", "note"]);
    assert_eq!(results[1]["message"]["text"], "a [link\\](https://example.org)\nnote: a note");
    let related = &results[2]["relatedLocations"][0];
    let region = serde_json::json!({ "startLine": 1, "startColumn": 1, "endLine": 2, "endColumn": 1 });
    assert_eq!((&related["physicalLocation"]["region"], &related["message"]["text"]), (&region, &"said".into()));
    let uri = |result: &Value| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone();
    assert_eq!(
        results.iter().map(uri).collect::<Vec<_>>(),
        ["sub/catalog/catalog.ncl", "sub/catalog/catalog.ncl", "sub/b", "sub/a"]
    );
}

#[test]
fn what_has_no_log_is_a_wrong_command_line() {
    let shop = Workshop::bare("");
    for args in [
        &["validate", "--list", "--format", "sarif"][..],
        &["validate", "--explain", "cycle", "--format", "github"],
        &["validate", "--format", "sarif", "--help-base", "docs/checks.md"],
        &["validate", "--format", "sarif", "--help-base", "https://example.org/#x"],
    ] {
        assert_eq!(shop.run_with(args, "", b"", &[]).any_stderr().answer(2), "", "{args:?}");
    }
}

#[test]
fn only_true_duplicates_are_told_once() {
    let of = |layer: &str, note: &str| {
        Diagnostic::new(Code::AdrHard, "no line matches").file("f").layer(layer).note(note).label("f", 0..1, "")
    };
    let sorted = diagnostics::sorted(vec![of("a", "ADR 001"), of("a", "ADR 002"), of("b", "ADR 001")]);
    let told: Vec<_> = sorted.iter().map(|finding| (finding.layer.as_deref(), finding.notes[0].as_str())).collect();
    // What two layers share is of neither; what two decisions ask is told twice.
    assert_eq!(told, [(None, "ADR 001"), (Some("a"), "ADR 002")]);
    let soft = of("a", "ADR 001").severity(Severity::Warning);
    assert_eq!(diagnostics::sorted(vec![of("a", "ADR 001"), soft]).len(), 2);
}
