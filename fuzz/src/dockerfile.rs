//! A Dockerfile: the parser, and the checks that compare it with a workflow.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use lamina::checks;
use lamina::diag::{Code, Diagnostic};
use lamina::dockerfile::{Dockerfile, Target};
use lamina::model::Layer;
use lamina::report::diagnostics;

use super::catalog;

/// Where the checks find it.
const FILE: &str = "layers/app/Dockerfile";

static LAYER: LazyLock<Layer> = LazyLock::new(|| catalog::demanding_layer("app"));

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = Dockerfile::parse(FILE, &text);
    match &parsed {
        Ok(parsed) => laws(parsed, &text),
        Err(finding) => {
            assert_eq!(finding.code, Code::DockerfileSyntax);
            has_places(finding, &text);
        }
    }
    // The checks have nothing to say of what can't be read but that; short texts are enough to see it.
    if parsed.is_err() && text.len() >= 32 {
        return;
    }
    let files = [(FILE, text.as_bytes()), ("layers/app/src/a.rs", b""), ("layers/app/.dockerignore", b"*.o\n")];
    let files = files.map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let snapshot = catalog::snapshot(vec![LAYER.clone()], BTreeMap::from(files));
    let checks = ["dockerfile", "native-deps"].into_iter().filter(|name| *name == "dockerfile" || text.contains("apt"));
    for name in checks {
        let check = checks::find(name).expect("there is such a check");
        for finding in check.run(&snapshot) {
            assert!(check.codes.contains(&finding.code), "{name}: {finding:?}");
            assert_eq!(finding.code == Code::DockerfileSyntax, parsed.is_err(), "{finding:?}");
            has_places(&finding, &text);
        }
    }
}

fn laws(parsed: &Dockerfile, text: &str) {
    let is_place = |span: &std::ops::Range<usize>| assert!(text.get(span.clone()).is_some(), "{span:?} of {text:?}");
    for (at, stage) in parsed.stages.iter().enumerate() {
        let references = || std::iter::once(&stage.from).chain(&stage.uses);
        for reference in references() {
            is_place(&reference.span);
            match parsed.target(reference, at) {
                Target::Stage(other) => assert!(other < at, "stages see those before them alone"),
                Target::StageOf(others) => assert!(!others.is_empty() && others.iter().all(|other| *other < at)),
                Target::Arg(name) => assert!(reference.text.contains(name)),
                Target::Scratch => assert_eq!(reference.text, "scratch"),
                Target::Literal(_) => {}
            }
        }
        let named = stage.sources.iter().chain(&stage.secrets).chain(&stage.ssh).chain(&stage.runs);
        named.for_each(|(_, span)| is_place(span));
        let reachable = parsed.reachable(at);
        assert!(reachable.is_sorted() && reachable.last() == Some(&at), "{reachable:?}");
        for stage in &reachable {
            // What a stage needs is needed by all that need the stage.
            assert!(parsed.reachable(*stage).iter().all(|other| reachable.contains(other)));
        }
        if let Some(name) = stage.name.as_deref() {
            let last = parsed.final_stage(Some(name)).expect("the stage itself has that name");
            assert!(last >= at);
        }
    }
    assert_eq!(parsed.final_stage(None), parsed.stages.len().checked_sub(1));
    for arg in parsed.all_args() {
        is_place(&arg.span);
        parsed.global_default(arg);
    }
    for arg in &parsed.global_args {
        assert_eq!(parsed.global_arg(&arg.name).map(|found| &found.name), Some(&arg.name));
    }
}

fn has_places(finding: &Diagnostic, text: &str) {
    for label in finding.labels.iter().filter(|label| label.file == FILE) {
        assert!(text.get(label.span.clone()).is_some(), "{finding:?}");
    }
    assert!(!finding.message.is_empty(), "{finding:?}");
    // Words of a Dockerfile may be as long as it is; a message about them is not.
    let is_short = finding.message.len() < 1000 && !finding.message.contains(char::is_control);
    assert!(finding.code != Code::DockerfileSyntax || is_short, "{finding:?}");
    // Putting a finding into words costs more than all the rest; short texts have the same places.
    if text.len() < 32 {
        diagnostics::text(finding, &|_| Some(Arc::from(text)), false);
    }
}
