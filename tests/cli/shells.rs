//! Real shells complete real lines. A shell that is not on PATH is skipped, and that is said.

use std::path::PathBuf;

use regex::Regex;

use crate::workshop::{DEBIAN, RUST, Run, Workshop};

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("base-extra", "base").layer("tool", "base").lock(&[RUST, DEBIAN]);
    shop.run(["list", "--format", "names"]).any_stderr().answer(0);
    shop
}

/// The program, where it is there.
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no {program} on PATH");
    }
    found
}

/// Types into a shell on a terminal. The command is replaced by a function that tells the words it is given.
fn type_into(shop: &Workshop, shell: &str, start: &str, lines: &[&str]) -> Vec<String> {
    let tell = r#"lamina() { printf 'told:'; printf ' <%s>' "$@"; printf '\n'; }"#;
    let typed = format!("{start}\n{tell}\n{}\nexit\n", lines.join("\n"));
    let run = shop.run_program("script", &["-qec", shell, "/dev/null"], "", typed.as_bytes(), &[("TERM", "xterm")]);
    let screen = run.answer(0);
    let told = Regex::new(r"told:((?: <[^<>\r\n]*>)+)").unwrap();
    told.captures_iter(&screen).map(|told| told[1].trim().to_owned()).collect()
}

/// Lines with a tab, and the words that the shell makes of them.
const LINES: [(&str, &str); 7] = [
    ("lamina show to\t", "<show> <tool>"),
    ("lamina show base-\t --format js\t", "<show> <base-extra> <--format> <json>"),
    ("lamina list --only class=so\t", "<list> <--only> <class=source-dep>"),
    ("lamina list --only name=to\t", "<list> <--only> <name=tool>"),
    (
        "lamina cascade --changed rust:1\t debian:\t",
        "<cascade> <--changed> <rust:1.97.1-slim-trixie> <debian:trixie-slim>",
    ),
    ("lamina graph --format=mer\t", "<graph> <--format=mermaid>"),
    ("lamina valid\t --explain native-deps-\t", "<validate> <--explain> <native-deps-installed>"),
];

fn check_lines(shop: &Workshop, shell: &str, start: &str) {
    let told = type_into(shop, shell, start, &LINES.map(|(line, _)| line));
    assert_eq!(told, LINES.map(|(_, words)| words.to_owned()));
}

#[test]
#[cfg(target_os = "linux")]
fn bash_completes_lines() {
    if found("bash").is_none() || found("script").is_none() {
        return;
    }
    let start = format!("source <({} completions bash)", env!("CARGO_BIN_EXE_lamina"));
    check_lines(&shop(), "bash --norc --noprofile -i", &start);
}

#[test]
#[cfg(target_os = "linux")]
fn zsh_completes_lines() {
    if found("zsh").is_none() || found("script").is_none() {
        return;
    }
    let start =
        format!("autoload -Uz compinit; compinit -u -D; source <({} completions zsh)", env!("CARGO_BIN_EXE_lamina"));
    check_lines(&shop(), "zsh -f -i", &start);
}

/// Runs a program of a shell that has loaded its script.
fn run(shop: &Workshop, shell: &str, args: &[&str], program: &str) -> Run {
    let args = [args, &["-c", program]].concat();
    shop.run_program(shell, &args, "", b"", &[])
}

#[test]
fn fish_completes_lines() {
    if found("fish").is_none() {
        return;
    }
    let shop = shop();
    let complete = |line: &str| {
        let program = format!("{} completions fish | source; complete -C '{line}'", env!("CARGO_BIN_EXE_lamina"));
        run(&shop, "fish", &["--no-config"], &program)
    };
    complete("lamina show base").stdout("base\tThe layer base\nbase-extra\tThe layer base-extra\n").success();
    complete("lamina list --only name=t").stdout("name=tool\tThe layer tool\n").success();
    complete("lamina cascade --changed rust:").stdout(&format!("{RUST}\texternal image\n")).success();
    complete("lamina graph --format=t").stdout("--format=tree\tA tree for people\n").success();
    complete("lamina --catalog /nowhere show t").stdout("").success();
}

#[test]
fn nushell_completes_lines() {
    if found("nu").is_none() {
        return;
    }
    let shop = shop();
    shop.file("lamina.nu", &shop.run(["completions", "nushell"]).answer(0).replace("[CATALOG]", "."));
    // What Nushell does at a tab: it calls the closure with the words of the line.
    let complete = |before: &str, words: &str| {
        let program = format!(
            "{before}; source lamina.nu; print (do $env.config.completions.external.completer {words} | to json --raw)"
        );
        run(&shop, "nu", &["--no-config-file"], &program).answer(0).trim().to_owned()
    };
    let before = "$env.config.completions.external.completer = {|spans| [$\"before ($spans.0)\"] }";
    let tool = r#"[{"value":"tool","description":"The layer tool"}]"#;
    assert_eq!(complete("null", "[lamina show t]"), tool);
    assert_eq!(complete("null", "[/usr/bin/lamina show t]"), tool);
    assert_eq!(complete("null", "[lamina list --only name=to]"), tool.replace("\"tool", "\"name=tool"));
    assert_eq!(complete("null", "[lamina list --catalog \"/no where\" --only \"\"]").matches("value").count(), 4);
    assert_eq!(complete("null", "[other x]"), "null");
    assert_eq!(complete(before, "[other x]"), "[\"before other\"]");
    assert_eq!(complete(before, "[lamina show t]"), tool);
}
