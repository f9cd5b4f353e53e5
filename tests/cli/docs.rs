//! What the program says about itself: exit codes, checks, codes of findings, help.

use std::collections::BTreeSet;

use lamina::checks::CHECKS;
use lamina::commands::exit::Exit;
use lamina::diag::Code;

use crate::workshop::{RUST, Workshop};

const COMMANDS: [&str; 30] = [
    "cascade",
    "why",
    "plan",
    "status",
    "validate",
    "verify",
    "warm",
    "crates",
    "explain",
    "lock",
    "outdated",
    "update",
    "build",
    "suggest",
    "new",
    "report",
    "replay",
    "runners",
    "list",
    "show",
    "directives",
    "integrate",
    "graph",
    "export",
    "adr",
    "axioms",
    "schema",
    "completions",
    "man",
    "help",
];

fn ask(args: &[&str]) -> crate::workshop::Run {
    // None of these questions needs a catalog.
    Workshop::bare("").run_with(args, "", b"", &[])
}

#[test]
fn the_help_lists_all_exit_codes() {
    for option in ["--help", "-h"] {
        let help = ask(&[option]).answer(0);
        let (_, listed) = help.split_once("Exit codes:\n").unwrap();
        let expected: String =
            Exit::ALL.iter().map(|(exit, meaning)| format!("  {}  {meaning}\n", exit.code())).collect();
        assert_eq!(listed, expected);
    }
    let codes: BTreeSet<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
    assert_eq!(codes.len(), Exit::ALL.len());
}

#[test]
fn each_command_has_help() {
    let all = ask(&["--help"]).answer(0);
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command} ")), "{command} in {all}");
        let help = ask(&[command, "--help"]).answer(0);
        assert!(help.contains(&format!("Usage: lamina {command} ")), "{help}");
        assert!(!help.contains("__evaluate"), "the worker is nobody's business");
    }
    assert!(!all.contains("__evaluate"));
}

#[test]
fn a_wrong_command_line_is_code_2() {
    for args in [
        &["nothing"][..],
        &[],
        &["list", "--nothing"],
        &["cascade"],
        &["cascade", "--changed", "a", "--since", "b"],
        &["cascade", "--until", "HEAD"],
        &["list", "--eval-timeout", "0"],
        &["list", "--eval-memory", "1"],
        &["show"],
    ] {
        assert_eq!(ask(args).any_stderr().answer(2), "", "{args:?}");
    }
}

#[test]
fn the_version_is_the_packages() {
    ask(&["--version"]).stdout(&format!("lamina {}\n", env!("CARGO_PKG_VERSION"))).success();
}

#[test]
fn each_code_explains_itself() {
    let mut names = BTreeSet::new();
    for code in Code::ALL {
        let (summary, explanation) = (code.summary(), code.explanation());
        assert!(names.insert(code.as_str()), "{code} is there twice");
        assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{code}");
        assert!(summary.ends_with('.') && explanation.ends_with('.'), "{code}");
        let shown = ask(&["validate", "--explain", code.as_str()]).answer(0);
        assert!(shown.starts_with(&format!("{code} (")), "{shown}");
        assert!(shown.ends_with(&format!("\n\n{summary}\n\n{explanation}\n")), "{shown}");
        ask(&["explain", code.as_str()]).stdout(&shown).success();
        let option = ask(&["validate", "--explain", code.as_str(), "--format", "json"]).json(0);
        let command = ask(&["explain", code.as_str(), "--format", "json"]).json(0);
        for field in ["code", "severity", "summary", "explanation"] {
            assert_eq!(option["explain"][field], command[field], "{code}");
        }
        let checks = CHECKS.iter().filter(|check| check.codes.contains(code)).map(|check| check.name);
        assert_eq!(command["checks"], serde_json::json!(checks.collect::<Vec<_>>()), "{code}");
    }
    for args in [&["validate", "--explain", "from-undeclare"][..], &["explain", "from-undeclare"]] {
        ask(args).stderr("error: there is no code `from-undeclare`\nhint: did you mean `from-undeclared`?\n").code(2);
    }
    ask(&["explain", "nothing-like-it"])
        .stderr("error: there is no code `nothing-like-it`\nhint: `lamina validate --list` lists all codes\n")
        .code(2);
}

#[test]
fn the_list_of_checks_names_them_with_their_codes() {
    let list = ask(&["validate", "--list"]).answer(0);
    for check in CHECKS {
        assert!(list.contains(&format!("{}: {}", check.name, check.summary)), "{}", check.name);
        for code in check.codes {
            assert!(list.contains(&format!("\n  {code} ")), "{code}");
        }
    }
    insta::assert_snapshot!(list);
}

#[test]
fn a_single_check_finds_its_own_findings_only() {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("bad", "bsae").append("layers/bad/Dockerfile", "FROM node:24\n").lock(&[]);
    for check in CHECKS {
        let json = shop.run(["validate", "--only", check.name, "--format", "json"]);
        let json = if ["dag", "dockerfile", "pins"].contains(&check.name) { json.json(3) } else { json.json(0) };
        let own: BTreeSet<&str> = check.codes.iter().map(|code| code.as_str()).collect();
        for finding in json["findings"].as_array().unwrap() {
            assert!(own.contains(finding["code"].as_str().unwrap()), "{}: {finding:#}", check.name);
        }
        assert_eq!(json["checks"], serde_json::json!([check.name]));
    }
    shop.run(["validate", "--only", "pin"])
        .stderr("error: there is no check `pin`\nhint: did you mean `pins`?\n")
        .code(2);
}

#[test]
fn findings_as_json_have_places() {
    let shop = Workshop::new();
    shop.layer("bad", RUST).replace("layers/bad/workflow.ncl", "'toolchain", "'tool");
    shop.replace("layers/bad/workflow.ncl", "\"The layer bad\"", "\"Däs\" ++ 1");
    insta::assert_snapshot!(shop.run(["validate", "--format", "json"]).snapshot());
}
