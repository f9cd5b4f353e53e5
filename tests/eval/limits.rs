//! Input that means harm, or does it: what leaves the catalog, never ends, or needs more than there is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

#[test]
fn imports_cannot_leave_the_catalog() {
    for text in [
        "import \"/etc/passwd\" as 'Text",
        "let { x ? import \"/etc/passwd\" as 'Text } = {} in x",
        "import \"../../../etc/passwd\" as 'Text",
        "import \"/proc/self/environ\" as 'Text",
        "import \"/dev/zero\" as 'Text",
    ] {
        let finding = assert_single(text, Code::Import, "imports cannot leave the catalog");
        let place = &text[finding.labels[0].span.clone()];
        assert!(place.starts_with("import"), "{place}");
    }
}

#[test]
fn endless_evaluation_is_ended() {
    for text in [
        "let rec f = fun x => f (x + 1) in f 0",
        "let rec f = fun n => { next = f (n + 1) } in f 0",
        "{ a = 1e1000000000 }",
        "{ a = std.number.pow 10 1000000000 }",
        "let rec f = fun n => if n == 0 then {} else let half = f (n - 1) in { l = half, r = half } in f 40",
    ] {
        let findings = Memory::new().layer("x", text).findings("x");
        assert_limit(&findings, text);
    }
}

/// On a machine that is busy with other things, a file takes longer than its time by the clock.
#[test]
fn what_others_take_of_the_processor_is_not_the_files_time() {
    let text = "let rec f = fun n => if n == 0 then \"yes\" else f (n - 1) in f 60000";
    let memory = Memory::new().layer("x", workflow("x", &format!("docs = {text},")));
    let busy = AtomicBool::new(true);
    let threads = 8 * thread::available_parallelism().map_or(1, usize::from);
    let outcomes = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let outcomes = memory.run(&[layer("x")], &[]);
        busy.store(false, Ordering::Relaxed);
        outcomes
    });
    assert_eq!(as_workflow(&outcomes[0]).docs.as_deref(), Some("yes"));
}

#[test]
fn memory_is_bounded() {
    for text in [
        "let rec f = fun n s => if n == 0 then s else f (n - 1) (s ++ s) in { a = f 40 \"aaaaaaaa\" }",
        "{ a = std.array.replicate 1e8 \"x\" }",
        "{ a = std.string.join \"\" (std.array.replicate 1e7 \"0123456789\") }",
    ] {
        let findings = Memory::new().layer("x", text).findings("x");
        assert_limit(&findings, text);
    }
}

/// What a job leaves in its worker's memory is not the next one's fault.
#[test]
fn only_who_needs_too_much_memory_alone_is_to_blame() {
    let names: Vec<_> = (0..20).map(|number| format!("layer-{number}")).collect();
    let text = |name: &str| {
        let twice = "std.array.fold_left (fun text _ => text ++ text) \"aaaaaaaa\" (std.array.range 0 23)";
        let kept = format!("let rec big = {{ own = big, text = {twice} }} in\n");
        kept + &workflow(name, "docs = if big.own.text == \"\" then \"no\" else \"yes\",")
    };
    let bomb = "let rec f = fun n s => if n == 0 then s else f (n - 1) (s ++ s) in { a = f 40 \"aaaaaaaa\" }";
    let memory = names.iter().fold(Memory::new(), |memory, name| memory.layer(name, text(name))).layer("bomb", bomb);
    let mut jobs: Vec<_> = names.iter().map(|name| layer(name)).collect();
    jobs.insert(10, layer("bomb"));
    for outcome in memory.run_within(640, &jobs, &[]) {
        if outcome.job == layer("bomb") {
            let findings = outcome.result.expect_err("a bomb");
            assert_eq!(findings[0].code, Code::LimitMemory, "{findings:#?}");
        } else {
            assert_eq!(as_workflow(&outcome).docs.as_deref(), Some("yes"));
        }
    }
}

#[test]
fn yaml_anchors_are_bounded() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let memory = Memory::new().layer("x", "{ a = import \"bomb.yaml\" }").with("layers/x/bomb.yaml", bomb);
    assert_limit(&memory.findings("x"), "a YAML bomb");
}

#[track_caller]
fn assert_limit(findings: &[Diagnostic], what: &str) {
    let [finding] = findings else { panic!("{what}: {findings:#?}") };
    assert!(matches!(finding.code, Code::LimitTime | Code::LimitMemory | Code::LimitDepth), "{what}: {finding:#?}");
    assert_eq!(finding.main_file(), Some("layers/x/workflow.ncl"), "{what}");
}

#[test]
fn depth_is_bounded() {
    // In a debug build, frames are large: what is fine for a release build may be too deep here.
    for depth in [2_000, 100_000] {
        for text in [
            format!("{}1{}", "[".repeat(depth), "]".repeat(depth)),
            format!("{}1{}", "{a=".repeat(depth), "}".repeat(depth)),
            format!("{{ a = {}1 }}", "1+".repeat(depth)),
            format!("{{ a = {}1 }}", "let x = 1 in ".repeat(depth)),
            format!("{{ a = {{}}{} }}", ".a".repeat(depth)),
        ] {
            let findings = Memory::new().layer("x", text.as_str()).findings("x");
            assert!(!findings.is_empty(), "{}", &text[..20]);
            assert_eq!(findings[0].main_file(), Some("layers/x/workflow.ncl"));
        }
    }
}

#[test]
fn a_cycle_of_imports_with_a_value_is_fine() {
    let memory = Memory::new()
        .layer("x", workflow("x", "docs = (import \"a.ncl\").docs,"))
        .with("layers/x/a.ncl", "{ docs = \"found\", other = (import \"b.ncl\").other }")
        .with("layers/x/b.ncl", "{ docs = (import \"a.ncl\").docs, other = 1 }");
    assert_eq!(as_workflow(&memory.run(&[layer("x")], &[])[0]).docs.as_deref(), Some("found"));
}

#[test]
fn after_five_culprits_the_rest_is_left_alone() {
    let names: Vec<_> = (0..7).map(|number| format!("bomb-{number}")).collect();
    let text = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let memory = names.iter().fold(Memory::new(), |memory, name| memory.layer(name, text.as_str()));
    let jobs: Vec<_> = names.iter().map(|name| layer(name)).collect();
    let outcomes = memory.run(&jobs, &[]);
    let codes: Vec<_> = outcomes.iter().map(|o| o.result.as_ref().expect_err("a bomb")[0].code).collect();
    assert!(codes[..5].iter().all(|code| [Code::LimitDepth, Code::LimitTime].contains(code)), "{codes:?}");
    assert_eq!(codes[5..], [Code::NotEvaluated; 2]);
}

#[test]
fn a_worker_that_is_none_is_an_error() {
    for (program, args) in [("/nonexistent", vec![]), ("/bin/false", vec![]), ("/bin/echo", vec!["x".to_owned(); 9])] {
        let worker = WorkerCommand { program: program.into(), args };
        let result = eval::evaluate(&[layer("rust")], &Memory::new(), &[], &Limits::default(), &worker);
        assert!(result.is_err(), "{program}");
    }
}

#[test]
fn a_bomb_that_layers_share_ends_each_of_them() {
    let more = "docs = import \"../bomb.ncl\",";
    let memory = Memory::new()
        .layer("x", workflow("x", more))
        .layer("y", workflow("y", more))
        .with("layers/bomb.ncl", format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)));
    let outcomes = memory.run(&[layer("x"), layer("rust"), layer("y")], &[]);
    assert_limit(outcomes[0].result.as_ref().expect_err("a bomb"), "shared");
    assert!(outcomes[1].result.is_ok());
    assert!(outcomes[2].result.is_err());
}

#[test]
fn a_record_that_is_too_large_is_not_sent() {
    let more = "docs = let text = import \"text.txt\" in text ++ text ++ text,";
    let memory = Memory::new().layer("x", workflow("x", more)).with("layers/x/text.txt", "x".repeat(1 << 20));
    let findings = memory.findings("x");
    assert_eq!(
        (findings[0].code, findings[0].message.as_str()),
        (Code::LimitMemory, "the record is larger than 2 MiB")
    );
}
