//! Completion: what a shell is offered for a line, and that nothing but candidates ever comes back.
//!
//! Most tests ask as fish's script does, a candidate a line with its description behind a tab. The shells themselves
//! complete real lines in shells.rs.

use crate::workshop::{DEBIAN, RUST, Run, Workshop};

/// Asks for what can stand at the end of a line.
fn ask(shop: &Workshop, line: &[&str]) -> Run {
    ask_in(shop, "", line, &[])
}

fn ask_in(shop: &Workshop, folder: &str, line: &[&str], env: &[(&str, &str)]) -> Run {
    let args = [&["--", "lamina"], line].concat();
    shop.run_with(&args, folder, b"", &[&[("LAMINA_COMPLETE", "fish")], env].concat())
}

/// The candidates without their descriptions.
fn values(run: Run) -> Vec<String> {
    run.answer(0).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer("base-extra", "base").layer("tool", "base").lock(&[RUST, DEBIAN]);
    shop
}

#[test]
fn layers_are_offered_wherever_a_layer_can_stand() {
    let shop = shop();
    for line in [&["show", ""][..], &["why", ""], &["show", "--format", "json", ""], &["--no-cache", "show", ""]] {
        ask(&shop, line).stdout("base\nbase-extra\ntool\n").success();
    }
    ask(&shop, &["show", "base-"]).stdout("base-extra\n").success();
    ask(&shop, &["list", "--only", "name=b"]).stdout("name=base\nname=base-extra\n").success();
    ask(&shop, &["list", "--only=name=t"]).stdout("--only=name=tool\n").success();
}

#[test]
fn what_a_layer_says_of_itself_is_told_once_it_was_evaluated() {
    let shop = shop();
    ask(&shop, &["show", "b"]).stdout("base\nbase-extra\n").success();
    shop.run(["list", "--format", "names"]).stdout("base\nbase-extra\ntool\n").success();
    ask(&shop, &["show", "b"]).stdout("base\tThe layer base\nbase-extra\tThe layer base-extra\n").success();
    // New layers are offered at once, and those that are gone no more.
    shop.layer("brand-new", "base").remove("layers/base-extra");
    ask(&shop, &["show", "b"]).stdout("base\tThe layer base\nbrand-new\n").success();
}

#[test]
fn nothing_is_evaluated() {
    let shop = shop();
    shop.file("catalog/catalog.ncl", "let rec f = fun x => f (x + 1) in f 0");
    shop.file("layers/tool/workflow.ncl", "}").remove("layers/base/workflow.ncl");
    ask(&shop, &["show", ""]).stdout("base\nbase-extra\ntool\n").success();
}

#[test]
fn changes_are_layers_images_and_paths() {
    let shop = shop();
    shop.file("rust-notes/a.txt", "").file("bare.txt", "");
    let line = ["cascade", "--changed"];
    assert_eq!(values(ask(&shop, &[&line[..], &["ba"]].concat())), ["base", "base-extra", "bare.txt"]);
    assert_eq!(values(ask(&shop, &[&line[..], &["base", "tool", "ru"]].concat())), [RUST, "rust-notes/"]);
    assert_eq!(values(ask(&shop, &[&line[..], &["layers/tool/D"]].concat())), ["layers/tool/Dockerfile"]);
    let validate = ["validate", "--changed", "debian:"];
    ask(&shop, &validate).stdout(&format!("{DEBIAN}\texternal image\n")).success();
    shop.remove("lamina.lock");
    ask(&shop, &validate).stdout("").success();
    shop.file("other.lock", &crate::workshop::lock(&[DEBIAN]));
    ask(&shop, &["--lock", "other.lock", "validate", "--changed", "debian:"])
        .stdout(&format!("{DEBIAN}\texternal image\n"))
        .success();
}

#[test]
fn conditions_checks_codes_and_decisions_are_offered() {
    let shop = shop();
    let conditions = ["class=toolchain", "class=source-dep", "class=native-dep", "name="];
    assert_eq!(values(ask(&shop, &["cascade", "--since", "HEAD", "--only", ""])), conditions);
    assert_eq!(values(ask(&shop, &["list", "--only", "class="])), conditions[..3]);
    let checks: Vec<&str> = lamina::checks::CHECKS.iter().map(|check| check.name).collect();
    let offered = values(ask(&shop, &["validate", "--only", ""]));
    assert_eq!(offered[..checks.len()], checks);
    assert_eq!(values(ask(&shop, &["validate", "--only", "pins", "co"])), ["contracts", "cooked", "context"]);
    let codes: Vec<&str> = lamina::diag::Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(values(ask(&shop, &["validate", "--explain", ""])), codes);
    shop.file("adrs/007-one-thing.ncl", "").file("adrs/012-another.ncl", "").file("adrs/readme.md", "");
    ask(&shop, &["adr", "0"]).stdout("007\tone thing\n012\tanother\n").success();
}

#[test]
fn values_of_options_are_offered() {
    let shop = shop();
    assert_eq!(values(ask(&shop, &["graph", "--format", ""])), ["tree", "dot", "mermaid", "svg", "json"]);
    assert_eq!(values(ask(&shop, &["cascade", "--unknown=a"])), ["--unknown=all"]);
    assert_eq!(values(ask(&shop, &["list", "--color", "n"])), ["never"]);
    assert_eq!(values(ask(&shop, &["completions", ""])), ["bash", "zsh", "fish", "powershell", "nushell"]);
    assert_eq!(values(ask(&shop, &["--catalog", "lay"])), ["layers/"]);
    assert_eq!(values(ask(&shop, &["list", "--overlay", "lamina."])), ["lamina.lock"]);
    assert_eq!(values(ask(&shop, &["man", "cas"])), ["cascade"]);
    assert_eq!(values(ask(&shop, &["help", "exi"])), ["exit-codes"]);
}

#[test]
fn runs_and_files_of_events_are_offered() {
    let shop = shop();
    let run = crate::recording::eventful();
    run.record(&crate::recording::history(&shop));
    shop.file("sent/events.jsonl", "");
    for command in ["report", "replay"] {
        ask(&shop, &[command, ""]).stdout(&format!("{}\n", run.run)).success();
        ask(&shop, &[command, "sent/"]).stdout("sent/events.jsonl\n").success();
    }
}

#[test]
fn options_are_offered_behind_a_dash_or_where_nothing_else_can_stand() {
    let shop = shop();
    assert!(values(ask(&shop, &["show", "--f"])).contains(&"--format".to_owned()));
    assert!(values(ask(&shop, &["show", "-"])).contains(&"--catalog".to_owned()));
    assert!(values(ask(&shop, &["list", ""])).contains(&"--only".to_owned()));
    let commands = values(ask(&shop, &[""]));
    assert!(commands.contains(&"cascade".to_owned()) && commands.iter().all(|name| !name.starts_with('-')));
}

#[test]
fn revisions_come_from_git() {
    let shop = shop();
    ask(&shop, &["cascade", "--since", ""]).stdout("").success();
    shop.commit("first");
    shop.git(&["tag", "v1"]);
    shop.git(&["branch", "topic/one"]);
    shop.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let all = "HEAD\tthe current commit\nmain\tbranch\ntopic/one\tbranch\nv1\ttag\norigin/main\tremote branch\n";
    for line in [&["cascade", "--since", ""][..], &["why", "base", "--since", "HEAD", "--until", ""]] {
        let offered = ask(&shop, line).answer(0);
        assert_eq!(offered.lines().collect::<std::collections::BTreeSet<_>>(), all.lines().collect());
    }
    ask_in(&shop, "layers/base", &["why", "base", "--since", "or"], &[])
        .stdout("origin/main\tremote branch\n")
        .success();
}

#[test]
fn the_catalog_is_the_one_of_the_line() {
    let shop = shop();
    let outside = shop.outside().join("home");
    let (outside, root) = (outside.to_str().unwrap(), shop.root().to_str().unwrap());
    let ask = |line: &[&str], env: &[(&str, &str)]| ask_in(&shop, outside, line, env);
    assert_eq!(values(ask(&["show", "t"], &[])), Vec::<String>::new());
    ask(&["--catalog", root, "show", "t"], &[]).stdout("tool\n").success();
    ask(&["show", "--catalog", root, "t"], &[]).stdout("tool\n").success();
    ask(&[&format!("--catalog={root}"), "show", "t"], &[]).stdout("tool\n").success();
    ask(&["--catalog", "../repository", "show", "t"], &[]).stdout("tool\n").success();
    // The shell has not replaced it yet.
    ask(&["--catalog", "~/../repository", "show", "t"], &[]).stdout("tool\n").success();
    ask(&["show", "t"], &[("LAMINA_CATALOG", root)]).stdout("tool\n").success();
    ask(&["--catalog", outside, "show", "t"], &[("LAMINA_CATALOG", root)]).stdout("").success();
    ask_in(&shop, "layers/base", &["show", "t"], &[]).stdout("tool\n").success();
}

#[test]
fn whatever_is_broken_the_answer_is_silence() {
    let shop = shop();
    let silent = |run: Run| assert_eq!(values(run).iter().find(|value| !value.starts_with('-')), None);
    let layers = || ask(&shop, &["show", ""]);
    shop.remove("layers").file("layers", "a file");
    silent(layers());
    shop.remove("layers").link("layers", "schemas");
    silent(layers());
    shop.remove("layers").file("layers/NotAName/workflow.ncl", "").file("layers/file", "");
    shop.file("layers/\u{1b}[31mred/workflow.ncl", "").file("layers/a\nb/workflow.ncl", "");
    silent(layers());
    shop.remove("lamina.lock").fifo("lamina.lock").fifo("fifo.lock").bytes("bytes.lock", b"\xff\xfe");
    for lock in [&[][..], &["--lock", "fifo.lock"], &["--lock", "bytes.lock"], &["--lock", "layers"], &["--lock", "no"]]
    {
        ask(&shop, &[lock, &["cascade", "--changed", "rust:"]].concat()).stdout("").success();
    }
    shop.remove("catalog").fifo("catalog/catalog.ncl");
    silent(layers());
    shop.remove("catalog");
    silent(layers());
    std::fs::create_dir_all(shop.cache()).unwrap();
    ask(&shop, &["cascade", "--since", "H"]).stdout("").success();
}

#[test]
fn a_question_that_makes_no_sense_has_no_answer() {
    let shop = shop();
    let run = |args: &[&str], env: &[(&str, &str)]| shop.run_with(args, "", b"", env).stdout("").success();
    for shell in ["elvish", "nothing", "0", "/bin/fish"] {
        run(&["--", "lamina", "show", ""], &[("LAMINA_COMPLETE", shell)]);
    }
    for shell in ["bash", "zsh", "fish", "powershell", "nushell"] {
        run(&[], &[("LAMINA_COMPLETE", shell)]);
        run(&["--"], &[("LAMINA_COMPLETE", shell)]);
        run(&["show", "base"], &[("LAMINA_COMPLETE", shell)]);
    }
    for index in ["", "-1", "99", "18446744073709551616", "x"] {
        let env = [("LAMINA_COMPLETE", "bash"), ("_LAMINA_INDEX", index), ("_LAMINA_LINE", "lamina show b")];
        run(&["--", "lamina", "show", "b"], &env);
    }
    ask(&shop, &["nothing", "--what", "x", "show"]).any_stderr().answer(0);
    ask(&shop, &["show", "--changed=\u{301}", "\u{301}b"]).stdout("").success();
    // Without the variable it is a command like any other.
    shop.run_with(&["list", "--format", "names"], "", b"", &[("LAMINA_COMPLETE", "")])
        .stdout("base\nbase-extra\ntool\n")
        .success();
}

#[test]
fn what_takes_too_long_is_given_up() {
    let shop = shop();
    shop.commit("first");
    // A git that has to wait, say for a network drive.
    let bin = shop.outside().join("bin");
    shop.file("../bin/git", "#!/bin/sh\nsleep 15\necho refs/heads/late\n").executable("../bin/git");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    ask_in(&shop, "", &["why", "base", "--since", ""], &[("PATH", &path)]).stdout("").success();
    ask_in(&shop, "", &["why", "ba"], &[("PATH", &path)]).stdout("base\nbase-extra\n").success();
}

#[test]
fn many_layers_are_no_burden() {
    let shop = shop();
    for number in 0..3000 {
        std::fs::create_dir(shop.root().join(format!("layers/l{number:04}"))).unwrap();
    }
    assert_eq!(values(ask(&shop, &["show", "l012"])).len(), 10);
    assert_eq!(values(ask(&shop, &["show", ""])).len(), 2000);
}

#[test]
fn bash_gets_the_rest_of_what_it_takes_for_the_word() {
    let shop = shop();
    let bash = |words: &[&str], index: &str, word: &str, line: &str| {
        let env =
            [("LAMINA_COMPLETE", "bash"), ("_LAMINA_INDEX", index), ("_LAMINA_WORD", word), ("_LAMINA_LINE", line)];
        shop.run_with(&[&["--"], words].concat(), "", b"", &env).answer(0)
    };
    let line = "lamina list --only class=";
    assert_eq!(bash(&["lamina", "list", "--only", "class", "="], "4", "", line), "toolchain\nsource-dep\nnative-dep\n");
    let line = "lamina cascade --changed rust:1";
    assert_eq!(bash(&["lamina", "cascade", "--changed", "rust", ":", "1"], "5", "1", line), "1.97.1-slim-trixie\n");
    let line = "lamina show base";
    assert_eq!(bash(&["lamina", "show", "base"], "2", "base", line), "base\nbase-extra\n");
}

#[test]
fn powershell_and_nushell_get_values_with_descriptions() {
    let shop = shop();
    shop.run(["list", "--format", "names"]).any_stderr().answer(0);
    let run = |shell: &str| shop.run_with(&["--", "lamina", "show", "base"], "", b"", &[("LAMINA_COMPLETE", shell)]);
    run("powershell").stdout("base\tThe layer base\nbase-extra\tThe layer base-extra\n").success();
    let expected = serde_json::json!([
        { "value": "base", "description": "The layer base" },
        { "value": "base-extra", "description": "The layer base-extra" },
    ]);
    assert_eq!(run("nushell").json(0), expected);
}

#[test]
fn every_script_asks_this_program() {
    let program = env!("CARGO_BIN_EXE_lamina");
    let shop = Workshop::bare("");
    for shell in ["bash", "zsh", "fish", "powershell", "nushell"] {
        let script = shop.run(["completions", shell]).answer(0);
        assert!(script.contains(program) && script.contains("LAMINA_COMPLETE"), "{script}");
        assert!(script.contains(shell) && !script.contains("VARIABLE") && !script.contains("PROGRAM"), "{script}");
    }
    shop.run(["completions", "tcsh"]).any_stderr().code(2);
    // As it is on PATH, it is called by its name, and may move.
    let home = shop.outside().join("home");
    std::os::unix::fs::symlink(program, home.join("lamina")).unwrap();
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
    let script = shop.run_program("sh", &["-c", "lamina completions nushell"], "", b"", &[("PATH", &path)]).answer(0);
    assert!(script.starts_with("const lamina_program = \"lamina\"\n"), "{script}");
}
