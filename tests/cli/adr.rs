//! `lamina adr` and `lamina axioms` on a catalog whose decisions do not all hold.

use crate::workshop::{RUST, Workshop};

fn adr(id: &str, status: &str, constraints: &str) -> String {
    format!(
        "let {{ Adr, .. }} = import \"../schemas/adr.ncl\" in\n{{\n  id = \"{id}\",\n  title = \"Decision {id}\",\n  status = '{status},\n  \
         date = \"2026-01-02\",\n  context = \"Why it was\\nnecessary.\",\n  decision = \"What it is.\",\n  consequences = [\"One.\", \"Two.\"],\n  \
         constraints = [{constraints}],\n}} | Adr\n"
    )
}

const HOLDS: &str = r#"{ id = "class", severity = 'Hard, claim = "Layers have a class.", check = 'Field { field = "class", must = 'BePresent } },"#;
const BROKEN: &str = r#"{ id = "docs", severity = 'Soft, claim = "Layers have docs.", check = 'Field { field = "docs", must = 'BePresent } },"#;
const WHEN: &str = r#"{ id = "when", severity = 'Hard, claim = "Cooked layers say what they cook.",
    check = 'Field { when = { field = "class", is = "source-dep" }, field = "cooked", must = 'BePresent } },"#;
const PATTERN: &str = r#"{ id = "latest", severity = 'Hard, claim = "Nobody follows latest.",
    check = 'Pattern { files = ["layers/**/Dockerfile", "layers/*/workflow.ncl"], pattern = ":latest\\b", must = 'BeAbsent } },"#;

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST)
        .layer_with("app", "base", "docs = \"Text\",")
        .append("layers/app/Dockerfile", "# not :latest\n");
    shop.file("adrs/001-accepted.ncl", &adr("001", "accepted", &[HOLDS, BROKEN, WHEN, PATTERN].concat()));
    shop.file("adrs/002-proposed.ncl", &adr("002", "proposed", BROKEN))
        .file("adrs/003-superseded.ncl", &adr("003", "superseded", BROKEN));
    shop.file("adrs/004-holds.ncl", &adr("004", "accepted", HOLDS)).file("adrs/README.txt", "no record");
    let axiom =
        |id: &str, adrs: &str| format!("{{ id = \"{id}\", statement = \"S.\", rationale = \"R.\", adrs = [{adrs}] }},");
    let axioms = [
        axiom("broken", "\"001\", \"004\""),
        axiom("holds", "\"004\", \"002\""),
        axiom("not-checked", "\"002\""),
        axiom("nobody", ""),
    ]
    .concat();
    shop.file(
        "catalog/axioms.ncl",
        &format!("let {{ Axioms, .. }} = import \"../schemas/adr.ncl\" in [{axioms}] | Axioms\n"),
    );
    shop
}

#[test]
fn decisions_are_listed_with_their_state() {
    shop()
        .run(["adr"])
        .stdout(
            "001  accepted    2 of 4 constraints broken  Decision 001\n\
             002  proposed    1 constraint               Decision 002\n\
             003  superseded  1 constraint               Decision 003\n\
             004  accepted    1 constraint               Decision 004\n",
        )
        .success();
}

#[test]
fn a_decision_is_shown_with_what_breaks_it() {
    let shop = shop();
    insta::assert_snapshot!("adr_broken", shop.run(["adr", "001"]).snapshot());
    insta::assert_snapshot!("adr_not_checked", shop.run(["adr", "002"]).snapshot());
    insta::assert_snapshot!("adr_broken_json", shop.run(["adr", "001", "--format", "json"]).snapshot());
}

#[test]
fn axioms_hold_as_far_as_their_decisions_do() {
    let shop = shop();
    insta::assert_snapshot!("axioms_states", shop.run(["axioms"]).snapshot());
    let json = shop.run(["axioms", "--format", "json"]).json(0);
    let states: Vec<&str> =
        json["axioms"].as_array().unwrap().iter().map(|axiom| axiom["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["broken", "holds", "not-checked", "not-checked"]);
}

#[test]
fn an_unknown_decision_is_a_usage_error() {
    shop()
        .run(["adr", "0001"])
        .stderr("error: there is no decision `0001`\nhint: there are: 001, 002, 003, 004\n")
        .code(2);
}

#[test]
fn only_accepted_decisions_are_validated() {
    let shop = shop();
    let json = shop.run(["validate", "--only", "adr", "--format", "json"]).json(3);
    let found: Vec<(&str, &str)> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["code"].as_str().unwrap(), finding["file"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [("adr-hard", "layers/app/Dockerfile"), ("adr-soft", "layers/base/workflow.ncl")]);
}

#[test]
fn a_broken_decision_keeps_no_layer_from_its_cascade() {
    let shop = shop();
    shop.append("adrs/004-holds.ncl", "}");
    shop.run(["cascade", "--changed", "base", "--format", "names"]).stdout("base\napp\n").any_stderr().success();
    shop.run(["adr"]).any_stderr().code(3);
    shop.run(["axioms"]).any_stderr().code(3);
    assert!(shop.run(["validate"]).answer(3).contains("adrs/004-holds.ncl"));
}

#[test]
fn a_file_that_has_to_say_something_is_there() {
    let check = |files: &str, must: &str| {
        let constraint = format!(
            "{{ id = \"said\", severity = 'Hard, claim = \"It is said.\",
               check = 'Pattern {{ files = [{files}], pattern = \"^said$\", must = '{must} }} }},"
        );
        let shop = Workshop::new();
        shop.layer("base", RUST)
            .file("said.txt", "said\n")
            .file("adrs/001-said.ncl", &adr("001", "accepted", &constraint));
        shop.run(["validate"]).any_code()
    };
    for (files, must) in [("\"said.txt\"", "BePresent"), ("\"no.txt\"", "BeAbsent"), ("\"*.none\"", "BePresent")] {
        assert_eq!(check(files, must), "", "{files} {must}");
    }
    let told = check("\"said.txt\", \"renamed.txt\"", "BePresent");
    assert!(told.contains("renamed.txt does not exist") && told.contains("--> adrs/001-said.ncl:"), "{told}");
}
