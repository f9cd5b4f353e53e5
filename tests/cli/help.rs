//! Help, manual pages and exit codes: what is said in several places is the same, and what is shown as an example works.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use lamina::commands::exit::Exit;
use regex::Regex;

use crate::workshop::{Workshop, manifest_folder};

fn ask(args: &[&str]) -> String {
    Workshop::bare("").run_with(args, "", b"", &[]).answer(0)
}

/// All commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = ask(&["-h"]);
    let listed = help.split_once("Commands:\n").unwrap().1.split("\n\n").next().unwrap();
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> = names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(names.len() > 10, "{help}");
    names
}

/// The examples at the end of a help text.
fn examples(help: &str) -> Vec<&str> {
    let Some((_, examples)) = help.split_once("\nExamples:\n") else { return Vec::new() };
    examples.lines().take_while(|line| !line.is_empty()).map(str::trim).collect()
}

#[test]
fn every_help_has_examples_and_says_where_the_exit_codes_are() {
    for command in commands() {
        for option in ["-h", "--help"] {
            let help = ask(&[&command, option]);
            assert!(!examples(&help).is_empty(), "{command} {option}:\n{help}");
            assert!(help.ends_with("\n\nExit codes: see `lamina help exit-codes`\n"), "{command} {option}:\n{help}");
        }
        assert_eq!(ask(&["help", &command]), ask(&[&command, "--help"]));
        assert!(ask(&[&command, "-h"]).lines().count() <= ask(&[&command, "--help"]).lines().count());
    }
    assert_eq!(ask(&["help"]), ask(&["--help"]));
    Workshop::bare("")
        .run(["help", "cascad"])
        .stderr("error: there is no command or topic `cascad`\nhint: did you mean `cascade`?\n")
        .code(2);
}

#[test]
fn help_fits_on_a_terminal_of_80_columns() {
    let mut all = commands();
    all.push(String::new());
    for command in all {
        for option in ["-h", "--help"] {
            let args: Vec<&str> = [command.as_str(), option].into_iter().filter(|arg| !arg.is_empty()).collect();
            let help = Workshop::bare("").run_with(&args, "", b"", &[("COLUMNS", "80")]).answer(0);
            let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "{args:?}: {long:#?}");
        }
    }
}

#[test]
fn exit_codes_are_the_same_everywhere() {
    let rows = |row: fn(u8, &str) -> String| -> String {
        Exit::ALL.iter().map(|(exit, meaning)| row(exit.code(), meaning)).collect()
    };
    let listed = rows(|code, meaning| format!("  {code}  {meaning}\n"));
    assert_eq!(ask(&["help", "exit-codes"]), listed);
    assert!(ask(&["--help"]).ends_with(&format!("\nExit codes:\n{listed}")));
    let page = fs::read_to_string(manifest_folder().join("docs/commands.md")).unwrap();
    let table = page.split_once("\n## Exit codes\n\n").unwrap().1.split("\n\n").next().unwrap();
    let expected = rows(|code, meaning| format!("| {code} | {meaning} |\n"));
    assert_eq!(format!("{table}\n"), format!("| Code | Meaning |\n|--|--|\n{expected}"));
    let mut pages = commands();
    pages.push("lamina".to_owned());
    for name in pages {
        let page = if name == "lamina" { ask(&["man"]) } else { ask(&["man", &name]) };
        let section = page.split_once("\n.SH \"EXIT STATUS\"\n").unwrap().1.split("\n.SH").next().unwrap();
        let plain = section.replace("\\*(Aq", "'").replace("\\-", "-");
        let expected = rows(|code, meaning| format!(".TP\n\\fB{code}\\fR\n{meaning}\n"));
        assert_eq!(format!("{plain}\n"), expected, "{name}");
    }
    let readme = fs::read_to_string(manifest_folder().join("README.md")).unwrap();
    let sentence = readme.split_once("Exit codes: ").unwrap().1.split("\n\n").next().unwrap();
    for (exit, _) in Exit::ALL {
        assert!(sentence.contains(&format!("{} ", exit.code())), "{sentence}");
    }
}

/// A copy of this repository's catalog with a history, and what examples name besides.
fn real_copy() -> Workshop {
    let shop = Workshop::bare("");
    for part in ["layers", "schemas", "catalog", "adrs", "lamina.lock"] {
        let copied = Command::new("cp").arg("-R").arg(manifest_folder().join(part)).arg(shop.root()).status().unwrap();
        assert!(copied.success());
    }
    for message in ["one", "two", "three", "four"] {
        shop.commit(message);
    }
    shop.git(&["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    shop.append("layers/wasm/Dockerfile", "# a comment\n");
    shop.git(&["add", "--all"]);
    shop
}

#[test]
fn every_example_is_a_command_line_that_lamina_takes() {
    let shop = real_copy();
    let mut helps = vec![ask(&["--help"])];
    helps.extend(commands().iter().map(|command| ask(&[command, "--help"])));
    let mut ran = 0;
    for example in helps.iter().flat_map(|help| examples(help)) {
        // What comes before and after a pipe is other programs' part, but for the list that git writes.
        let line = example.strip_prefix("source <(").and_then(|line| line.strip_suffix(')')).unwrap_or(example);
        let mut list = Vec::new();
        for part in line.split(" | ").map(|part| part.split(" > ").next().unwrap()) {
            let words: Vec<&str> = part.split_whitespace().collect();
            match words[0] {
                "git" => list = shop.git(&words[1..]),
                "lamina" => {
                    // Nothing is built, not even where the catalog's registry is somebody's.
                    let nowhere = ("BUILDKIT_HOST", "unix:///nowhere");
                    let env = [("LAMINA_REGISTRY_RETRIES", "0"), ("LAMINA_CLIENT", "buildctl"), nowhere];
                    let code = shop.run_with(&words[1..], "", &list, &env).exit_code();
                    // What needs more than a catalog may fail for want of it, but not because of what was typed.
                    assert!(code.is_some_and(|code| code != 2 && code != 101), "{example}: {code:?}");
                    ran += 1;
                }
                _ => {}
            }
        }
    }
    assert!(ran > 25, "{ran}");
}

#[test]
fn pages_of_the_manual_have_all_that_the_help_has() {
    // An option without a text would be followed by the next one.
    let bare = Regex::new(r"\n\.TP\n[^\n]+\n\.TP").unwrap();
    for command in commands() {
        let (help, page) = (ask(&[&command, "--help"]), ask(&["man", &command]));
        let plain = page.replace("\\-", "-").replace("\\*(Aq", "'");
        assert!(plain.contains(&format!(".SH NAME\nlamina-{command} - ")), "{page}");
        for line in help.lines().map(str::trim_start).filter(|line| line.starts_with("--")) {
            let end = line.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(line.len());
            let option = &line[..end];
            assert!(plain.contains(&format!("\n\\fB{option}\\fR")), "{command}: {option} in\n{page}");
        }
        for example in examples(&help) {
            assert!(plain.contains(example), "{command}: {example}");
        }
        assert!(!bare.is_match(&page), "{page}");
        assert!(plain.contains("\nAs --catalog, which overrides it.\n") && plain.contains("\\fIlamina.lock\\fR"));
        assert!(page.ends_with("\n.SH \"SEE ALSO\"\n\\fBlamina\\fR(1), \\fBgit\\fR(1)\n"), "{page}");
    }
    let all: Vec<String> = commands().iter().map(|command| format!("\\fBlamina\\-{command}\\fR(1)")).collect();
    assert!(ask(&["man"]).contains(&all.join(", ")), "{}", ask(&["man"]));
}

#[test]
fn all_pages_are_written_into_a_folder() {
    let shop = Workshop::bare("");
    let mut expected: BTreeSet<String> = commands().iter().map(|name| format!("lamina-{name}.1")).collect();
    expected.insert("lamina.1".to_owned());
    let told = shop.run(["man", "--out", "share/man1"]).answer(0);
    assert_eq!(told.lines().map(|line| line.replace("share/man1/", "")).collect::<BTreeSet<_>>(), expected);
    let written = fs::read_dir(shop.root().join("share/man1")).unwrap();
    let written: BTreeSet<String> = written.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(written, expected);
    assert_eq!(shop.read("share/man1/lamina-why.1"), shop.run(["man", "why"]).answer(0));
    shop.file("file", "");
    shop.run(["man", "--out", "file"]).stderr("error: file can't be written: File exists (os error 17)\n").code(1);
    shop.run(["man", "cascad"]).stderr("error: there is no command `cascad`\nhint: did you mean `cascade`?\n").code(2);
}

#[test]
fn the_programs_that_read_manuals_find_nothing_wrong() {
    let shop = Workshop::bare("");
    let told = shop.run(["man", "--out", "man1"]).answer(0);
    for (program, args) in [
        ("man", &["--warnings", "-l"][..]),
        ("mandoc", &["-T", "lint", "-W", "warning"]),
        ("groff", &["-man", "-Tutf8", "-ww", "-z"]),
    ] {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("skipped: there is no {program} on PATH");
            continue;
        }
        for page in told.lines() {
            let mut command = Command::new(program);
            command.args(args).arg(page).current_dir(shop.root()).env("LC_ALL", "C.UTF-8").env("PAGER", "cat");
            let output = command.output().unwrap();
            let said = String::from_utf8(
                [output.stderr, if program == "mandoc" { output.stdout } else { Vec::new() }].concat(),
            );
            // A page has no date, so that it is the same on each machine and day.
            let said: String = said.unwrap().lines().filter(|line| !line.contains("missing date")).collect();
            assert_eq!(said, "", "{program} {page}");
        }
    }
}
