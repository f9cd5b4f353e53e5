//! `validate --changed` and `--staged`: whatever a change breaks is told, and old findings elsewhere are not.
//!
//! The law is checked edit by edit on one catalog: what a full run finds after the edit and did not find before it,
//! the limited run finds, too; and all that the limited run finds, the full one does.

use serde_json::Value;

use crate::workshop::{DEBIAN, RUST, Workshop};

type Edit = fn(&Workshop) -> &Workshop;

/// A valid catalog with every way in which layers share files.
fn sound() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("mid", "base").layer("leaf", "mid").layer("other", RUST);
    shop.layer("debian", DEBIAN).lock(&[RUST, DEBIAN]);
    // Files of other layers' folders, of folders outside of the catalog's, and files that the catalog ignores.
    shop.file("layers/base/version.ncl", "\"1.0\"").file("layers/base/args.ncl", "{ VERSION = \"1\" }");
    shop.layer_with(
        "reader",
        RUST,
        "docs = import \"../base/version.ncl\",\nbuild.args = import \"../base/args.ncl\",",
    );
    shop.append("layers/reader/Dockerfile", "ARG VERSION=1\n");
    shop.file("shared/text.ncl", "\"a text\"");
    shop.layer_with("outsider", RUST, "docs = import \"../../shared/text.ncl\",");
    shop.file("notes/notes.md", "notes").replace(
        "catalog/catalog.ncl",
        "registry |",
        "ignored = [\"**/*.md\"],\n  registry |",
    );
    shop.layer_with("noted", RUST, "docs = import \"../../notes/notes.md\" as 'Text,");
    shop.file("context/a.txt", "a");
    shop.layer_with(
        "elsewhere",
        RUST,
        "build = { context = \"../../context\", dockerfile = \"../../docker/x.Dockerfile\" },",
    );
    shop.file("docker/x.Dockerfile", &(crate::workshop::dockerfile(RUST) + "COPY a.txt /\n"))
        .remove("layers/elsewhere/Dockerfile");
    shop.layer_with("cooked", RUST, "class = 'source-dep,\ncooked.path = \"../../sets/web\",");
    shop.file("sets/web/Cargo.toml", "[package]\nname = \"web\"\nversion = \"0.0.0\"\n");
    shop.file("sets/web/Cargo.lock", "version = 4\n\n[[package]]\nname = \"web\"\nversion = \"0.0.0\"\n");
    shop.layer("copier", RUST).append("layers/copier/Dockerfile", "COPY b.txt /\n").file("layers/copier/b.txt", "b");
    shop.layer_with("documented", RUST, "docs = \"d\",");
    shop.file("adrs/001-one.ncl", &adr("001", "{ id = \"c\", severity = 'Hard, claim = \"c\", check = 'Field { field = \"summary\", must = 'BeNonEmpty } },"));
    shop
}

/// As [`sound`], with layers that have been wrong for long.
fn shop() -> Workshop {
    let shop = sound();
    shop.layer("old", RUST).append("layers/old/Dockerfile", "FROM node:24\n");
    shop.layer("older", RUST).replace("layers/older/workflow.ncl", "'toolchain", "'tool");
    shop.layer_with("odd", RUST, "docs = (import \"../base/version.ncl\") + 1,");
    shop
}

fn adr(id: &str, constraints: &str) -> String {
    format!(
        "let {{ Adr, .. }} = import \"../schemas/adr.ncl\" in\n{{\n  id = \"{id}\",\n  title = \"t\",\n  status = 'accepted,\n  \
         date = \"2026-01-01\",\n  context = \"c\",\n  decision = \"d\",\n  constraints = [{constraints}],\n}} | Adr\n"
    )
}

/// Edits, each of which makes at least one new finding.
const BREAKING: &[(&str, Edit)] = &[
    ("a Dockerfile", |shop| shop.append("layers/leaf/Dockerfile", "RUNN\n")),
    ("a Dockerfile is gone", |shop| shop.remove("layers/mid/Dockerfile")),
    ("a workflow's contract", |shop| shop.layer_with("leaf", "mid", "class = 'tol,")),
    ("a workflow's syntax", |shop| shop.append("layers/base/workflow.ncl", "}")),
    ("a workflow is gone", |shop| shop.remove("layers/base/workflow.ncl")),
    ("a workflow is a link", |shop| {
        shop.remove("layers/mid/workflow.ncl").link("layers/mid/workflow.ncl", "../leaf/workflow.ncl")
    }),
    ("a workflow is not UTF-8", |shop| shop.bytes("layers/mid/workflow.ncl", b"\xff")),
    ("a base that does not exist", |shop| shop.layer("leaf", "mdi")),
    ("a circle", |shop| shop.layer("base", "leaf")),
    ("a class without its set", |shop| shop.layer_with("leaf", "mid", "class = 'source-dep,")),
    ("a name twice", |shop| shop.layer_with("leaf", "mid", "build.platforms = [\"linux/amd64\", \"linux/amd64\"],")),
    ("a new layer", |shop| shop.layer("new", "base").remove("layers/new/Dockerfile")),
    ("a new folder", |shop| shop.file("layers/empty/file", "")),
    ("a folder with a bad name", |shop| shop.file("layers/Bad_Name/workflow.ncl", "{}")),
    ("a removed layer", |shop| shop.remove("layers/mid")),
    ("a renamed layer", |shop| {
        std::fs::rename(shop.root().join("layers/mid"), shop.root().join("layers/moved")).unwrap();
        shop
    }),
    ("a file that two layers import", |shop| shop.file("layers/base/version.ncl", "1")),
    ("the syntax of a file that others import", |shop| shop.file("layers/base/version.ncl", "\"1.0")),
    ("a file that others import is gone", |shop| shop.remove("layers/base/version.ncl")),
    ("a value that others import", |shop| shop.file("layers/base/args.ncl", "{ BUILD_BASE = \"x\" }")),
    ("an argument that others import", |shop| shop.file("layers/base/args.ncl", "{ VERSION = \"2\" }")),
    ("a file outside of the catalog's folders", |shop| shop.file("shared/text.ncl", "{}")),
    ("a file outside of the catalog's folders is gone", |shop| shop.remove("shared/text.ncl")),
    ("an ignored file", |shop| shop.bytes("notes/notes.md", b"\xff")),
    ("a context elsewhere", |shop| shop.remove("context/a.txt").file("context/b.txt", "")),
    ("a Dockerfile elsewhere", |shop| shop.append("docker/x.Dockerfile", "COPY c.txt /\n")),
    ("a Dockerfile elsewhere is gone", |shop| shop.remove("docker/x.Dockerfile")),
    ("a set elsewhere", |shop| shop.append("sets/web/Cargo.toml", "[dependencies]\nserde = \"1\"\n")),
    ("a set elsewhere is gone", |shop| shop.remove("sets/web/Cargo.toml")),
    ("the lock of a set elsewhere is gone", |shop| shop.remove("sets/web/Cargo.lock")),
    ("an ignore file", |shop| shop.file("layers/copier/.dockerignore", "*.txt\n")),
    ("a copied file is gone", |shop| shop.remove("layers/copier/b.txt")),
    ("a context that can't be read", |shop| shop.file("layers/leaf/.dockerignore/file", "")),
    ("an image without a digest", |shop| shop.lock(&[RUST])),
    ("no lock", |shop| shop.remove("lamina.lock")),
    ("a lock's syntax", |shop| shop.append("lamina.lock", "[[image")),
    ("an entry that nobody uses", |shop| shop.lock(&[RUST, DEBIAN, "alpine:3"])),
    ("a schema's syntax", |shop| shop.append("schemas/types.ncl", "}")),
    ("a schema is gone", |shop| shop.remove("schemas/build_directives.ncl")),
    ("a stricter schema", |shop| shop.replace("schemas/workflow.ncl", "[| 'toolchain, ", "[| ")),
    ("a new schema that nobody imports, and a layer's mistake", |shop| {
        shop.file("schemas/new.ncl", "{}").append("layers/leaf/Dockerfile", "RUNN\n")
    }),
    ("the catalog's contract", |shop| shop.replace("catalog/catalog.ncl", "linux/amd64", "amd64")),
    ("the catalog's syntax", |shop| shop.append("catalog/catalog.ncl", "}")),
    ("the catalog's image", |shop| {
        shop.append("layers/other/workflow.ncl", "").replace("catalog/catalog.ncl", "1.97.1", "")
    }),
    ("a decision that a layer does not keep", |shop| {
        let rule =
            "{ id = \"d\", severity = 'Hard, claim = \"d\", check = 'Field { field = \"docs\", must = 'BePresent } },";
        shop.file("adrs/002-two.ncl", &adr("002", rule))
    }),
    ("a decision that a file does not keep", |shop| {
        let rule = "{ id = \"d\", severity = 'Soft, claim = \"d\", check = 'Pattern { files = [\"layers/*/Dockerfile\"], pattern = \"^FROM\", must = 'BeAbsent } },";
        shop.file("adrs/001-one.ncl", &adr("001", rule))
    }),
    ("a decision's syntax", |shop| shop.append("adrs/001-one.ncl", "}")),
    ("a decision's id", |shop| shop.replace("adrs/001-one.ncl", "id = \"001\"", "id = \"002\"")),
    ("the schema of decisions", |shop| shop.append("schemas/adr.ncl", "}")),
    ("axioms", |shop| shop.file("catalog/axioms.ncl", "}")),
];

/// All findings of a run that ended with a code for it.
fn findings(shop: &Workshop, args: &[&str]) -> (Vec<Value>, Value) {
    let args = [&["validate", "--check-dag", "--format", "json"], args].concat();
    let mut answer: Value = serde_json::from_str(&shop.run_with(&args, "", b"", &[]).any_code()).unwrap();
    let Value::Array(findings) = answer["findings"].take() else { panic!("{answer}") };
    (findings, answer)
}

/// Edits the committed catalog and compares the runs; returns how many findings are new.
fn check(shop: &Workshop, before: &[Value], name: &str, edits: &[Edit]) -> usize {
    shop.git(&["reset", "--quiet", "--hard"]);
    shop.git(&["clean", "--quiet", "-d", "--force", "-x"]);
    for edit in edits {
        edit(shop);
    }
    shop.git(&["add", "--all"]);
    let (full, _) = findings(shop, &[]);
    let (limited, answer) = findings(shop, &["--staged"]);
    let new = full.iter().filter(|finding| !before.contains(finding));
    for finding in new.clone() {
        assert!(limited.contains(finding), "{name}: left out {finding:#}");
    }
    assert!(limited.iter().all(|finding| full.contains(finding)), "{name}");
    let left_out = answer["left_out"]["errors"].as_u64().unwrap() + answer["left_out"]["warnings"].as_u64().unwrap();
    assert_eq!(full.len() - limited.len(), usize::try_from(left_out).unwrap(), "{name}");
    new.count()
}

#[test]
fn what_a_change_breaks_is_told() {
    let shop = sound();
    shop.commit("all");
    let (before, _) = findings(&shop, &[]);
    assert_eq!(before, Vec::<Value>::new());
    for (name, edit) in BREAKING {
        assert!(check(&shop, &before, name, &[*edit]) > 0, "{name} breaks nothing");
    }
}

#[test]
fn what_two_changes_break_together_is_told_in_a_catalog_with_old_findings() {
    let shop = shop();
    shop.commit("all");
    let (before, _) = findings(&shop, &[]);
    assert!(before.len() >= 5, "{before:#?}");
    // Edits of what another one has removed make no sense.
    let lasting = |name: &str| {
        !["gone", "removed", "renamed", "is a link", "no lock", "not UTF-8"].iter().any(|part| name.contains(part))
    };
    let edits: Vec<_> = BREAKING.iter().filter(|(name, _)| lasting(name)).collect();
    for (number, (first, edit)) in edits.iter().enumerate().step_by(2) {
        let (second, other) = edits[(number * 7 + 5) % edits.len()];
        check(&shop, &before, &format!("{first} and {second}"), &[*edit, *other]);
    }
}

#[test]
fn findings_elsewhere_are_counted_and_not_told() {
    let shop = shop();
    shop.commit("all").append("layers/leaf/Dockerfile", "RUN true\n").file("README.txt", "");
    let said = "1 of 15 layers (2 can't be used), 8 checks: no problem\nleft out: 5 errors in layers that the change does not touch\n";
    for args in [&["--changed", "layers/leaf/Dockerfile"][..], &["--changed", "leaf", "README.txt"]] {
        shop.run_with(&[&["validate"], args].concat(), "", b"", &[]).stderr(said).success();
    }
    shop.git(&["add", "--all"]);
    shop.run(["validate", "--staged"]).stderr(said).success();
    shop.run(["validate", "--changed", "README.txt"]).stderr(&said.replace("1 of", "0 of")).success();
    // Not even the order of building is told of a catalog that has none.
    shop.run(["validate", "--staged", "--check-dag"]).stderr(&said.replace("8 checks", "9 checks")).success();
    for touched in ["old", "layers/old/Dockerfile", "layers/old", "layers", "schemas", "catalog/catalog.ncl", RUST] {
        let told = shop.run(["validate", "--changed", touched]).any_stderr().answer(3);
        assert!(told.contains("error[from-undeclared]"), "{touched}: {told}");
    }
    // A layer that can't be used can be named.
    let told = shop.run(["validate", "--changed", "older"]).any_stderr().answer(3);
    assert_eq!(told.matches("error[").count(), 1, "{told}");
}

#[test]
fn a_list_of_paths_says_the_same_as_the_stage() {
    let shop = shop();
    shop.commit("all");
    for name in ["a removed layer", "a renamed layer", "a file that others import is gone", "a set elsewhere"] {
        let (_, edit) = BREAKING.iter().find(|(other, _)| *other == name).unwrap();
        shop.git(&["reset", "--quiet", "--hard"]);
        edit(&shop);
        shop.git(&["add", "--all"]);
        let list = shop.git(&["diff", "--cached", "--name-only", "--no-renames"]);
        let listed = shop.run_reading(&list, ["validate", "--changed", "-"]).snapshot();
        assert_eq!(listed, shop.run(["validate", "--staged"]).snapshot(), "{name}");
    }
}

#[test]
fn nothing_staged_is_everything() {
    let shop = shop();
    shop.commit("all");
    let full = shop.run(["validate", "--format", "json"]).any_code();
    let (staged, rest) =
        (shop.run(["validate", "--staged", "--format", "json"]), "nothing is staged: the whole catalog is checked\n");
    staged.stderr(rest).stdout(&full).code(3);
}

#[test]
fn a_catalog_in_a_folder_of_its_repository_is_known_to_the_stage() {
    let shop = Workshop::nested("some/where");
    shop.layer("good", RUST).layer("bad", RUST).commit("one");
    shop.append("layers/good/Dockerfile", "# a comment\n").append("layers/bad/Dockerfile", "RUNN\n");
    shop.git(&["add", "some/where/layers/good"]);
    let said = "1 of 2 layers, 8 checks: no problem\nleft out: 1 error in layers that the change does not touch\n";
    shop.run(["validate", "--staged"]).stderr(said).success();
    shop.run_in("layers/bad", ["validate", "--staged"]).stderr(said).success();
    // Settings of the user's change nothing.
    shop.git(&["config", "diff.relative", "true"]);
    shop.git(&["config", "diff.noprefix", "true"]);
    shop.run(["validate", "--staged"]).stderr(said).success();
    shop.git(&["add", "--all"]);
    shop.run(["validate", "--staged"]).any_stderr().answer(3);
}

#[test]
fn what_can_not_be_asked_is_an_error() {
    let shop = Workshop::new();
    shop.layer("base", RUST);
    shop.run(["validate", "--staged"])
        .stderr("error: `git rev-parse` failed: fatal: not a git repository (or any of the parent directories): .git\n")
        .code(5);
    shop.run(["validate", "--changed", "bsae"])
        .stderr("error: `bsae` is no layer, no path and no external image of the catalog\nhint: did you mean `base`?\n")
        .code(2);
    shop.run(["validate", "--changed", "base", "--staged"]).any_stderr().code(2);
    shop.run(["validate", "--list", "--staged"]).any_stderr().code(2);
    // Before the first commit everything is staged.
    shop.git(&["init", "--quiet"]);
    shop.git(&["add", "--all"]);
    shop.run(["validate", "--staged"]).stderr("1 of 1 layer, 8 checks: no problem\n").success();
}
