//! Whether memory ran out: every row of how failures look, and of how kills look, gets its verdict from the very text
//! that clients write. Each was provoked on real engines (docs/engines.md).

use lamina::engine::{Ending, Seen, SolveError, Stream, VertexError, judge};
use lamina::event::{Oom, OomVerdict};
use lamina::runner::Evidence;
use lamina::runner::oom::{LINES, verdict};
use proptest::prelude::*;

use crate::recordings::recorded;

const STEP: &str = "[2/5] RUN cargo chef cook";

/// How a client ended: its code, the step with its error, the last lines of the step, and what is behind the stream.
struct Row<'a> {
    code: i32,
    error: Option<(&'a str, &'a str)>,
    output: &'a [&'a str],
    tail: &'a str,
}

/// A row whose step says nothing.
fn row<'a>(code: i32, error: Option<(&'a str, &'a str)>, tail: &'a str) -> Row<'a> {
    Row { code, error, output: &[], tail }
}

impl Row<'_> {
    fn judged(&self, cancelled: bool) -> SolveError {
        let error =
            |(name, error): (&str, &str)| VertexError { step: 0, name: name.to_owned(), error: error.to_owned() };
        let errors = self.error.map(error).into_iter().collect();
        let tail = self.tail.lines().map(str::to_owned).collect();
        let seen = Seen { errors, tail, steps: 3, ..Seen::default() };
        judge(&Ending { code: Some(self.code), cancelled, ..Ending::default() }, seen).unwrap_err()
    }

    fn verdict(&self, evidence: &Evidence) -> Option<Oom> {
        let output: Vec<String> = self.output.iter().map(|line| (*line).to_owned()).collect();
        verdict(&self.judged(false), self.error.map(|(name, _)| name), &output, evidence)
    }
}

fn ended(outcome: &str) -> String {
    format!("process \"/bin/sh -c cargo chef cook\" did not complete successfully: {outcome}")
}

/// Failures that are not memory.
fn others() -> Vec<(&'static str, Row<'static>)> {
    let push = "exporting to image";
    vec![
        (
            "parse error",
            row(
                1,
                None,
                "ERROR: failed to build: failed to solve: dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
            ),
        ),
        (
            "no Dockerfile",
            row(1, None, "ERROR: failed to solve: failed to read dockerfile: open D.none: no such file or directory"),
        ),
        (
            "base image missing",
            row(
                1,
                Some(("[internal] load metadata for r.test/a:t", "r.test/a:t: not found")),
                "error: failed to solve: r.test/a:t: failed to resolve source metadata for r.test/a:t: r.test/a:t: not found",
            ),
        ),
        (
            "base not allowed",
            row(
                1,
                Some((
                    "[internal] load metadata for r.test/a:t",
                    "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://r.test/token: 401 Unauthorized",
                )),
                "",
            ),
        ),
        (
            "push not allowed",
            row(
                1,
                Some((
                    push,
                    "failed to push r.test/a:t: failed to authorize: failed to fetch anonymous token: 403 Forbidden",
                )),
                "",
            ),
        ),
        (
            "required secret not given",
            row(1, Some((STEP, "secret tok: not found")), "ERROR: failed to solve: secret tok: not found"),
        ),
        (
            "secret's file missing",
            row(1, None, "ERROR: failed to build: failed to stat /nope: stat /nope: no such file or directory"),
        ),
        (
            "COPY source missing",
            row(
                1,
                Some((
                    "[2/2] COPY nofile /",
                    "failed to compute cache key: failed to calculate checksum of ref x::y: \"/nofile\": not found",
                )),
                "",
            ),
        ),
        (
            "registry down at push",
            row(
                1,
                Some((
                    push,
                    "failed to push 127.0.0.1:1/a:t: failed to do request: Head \"https://127.0.0.1:1/v2/a/blobs/x\": dial tcp 127.0.0.1:1: connect: connection refused",
                )),
                "",
            ),
        ),
        (
            "cache export fails",
            row(
                1,
                None,
                "ERROR: failed to solve: error writing layer blob: failed to copy: failed to do request: dial tcp: connection refused",
            ),
        ),
        (
            "daemon killed meanwhile",
            row(1, None, "ERROR: failed to solve: Unavailable: error reading from server: EOF"),
        ),
        (
            "daemon killed meanwhile, buildx",
            row(
                1,
                None,
                "ERROR: failed to build: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
            ),
        ),
        (
            "daemon not there",
            row(1, None, "ERROR: Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?"),
        ),
        (
            "daemon not there, buildctl",
            row(1, None, "error: listing workers for Build: failed to list workers: Unavailable: connection error"),
        ),
        (
            "engine race",
            row(
                1,
                Some((
                    push,
                    "failed to prepare extraction snapshot \"extract-1 sha256:0\": parent snapshot sha256:1 does not exist: not found",
                )),
                "",
            ),
        ),
        (
            "full disk, in a step",
            row(
                102,
                Some((STEP, "ResourceExhausted: write /x: no space left on device")),
                "ERROR: failed to build: failed to solve: ResourceExhausted: write /x: no space left on device",
            ),
        ),
        (
            "full disk, in the tail",
            row(
                102,
                None,
                "ERROR: failed to build: failed to solve: ResourceExhausted: write /x: no space left on device",
            ),
        ),
        (
            "something else is exhausted",
            row(102, None, "ERROR: failed to build: failed to solve: ResourceExhausted: too many requests at a time"),
        ),
        ("wrong flag", row(125, None, "unknown flag: --nonsense")),
        ("the plugin was killed", row(255, None, "")),
    ]
}

#[test]
fn failures_that_are_not_memory_are_never_taken_for_it() {
    let stream = |name: &str, code: i32, cancelled: bool| {
        let mut stream = Stream::default();
        stream.feed(&recorded(name), &mut |_| {});
        judge(&Ending { code: Some(code), cancelled, ..Ending::default() }, stream.finish(&mut |_| {})).unwrap_err()
    };
    for name in [
        "step-exits.buildx",
        "step-exits.buildctl",
        "parse-error.buildx",
        "base-missing.buildctl",
        "secret-not-given.buildx",
        "copy-missing.buildx",
        "push-down.buildx",
        "engine-killed.buildctl",
    ] {
        let error = stream(name, 1, false);
        assert_eq!(verdict(&error, Some(STEP), &[], &Evidence::default()), None, "{name}");
        assert!(!error.out_of_memory, "{name}");
    }
    // A cancelled step says 137; that is so as well where somebody else has cancelled it.
    let killed = Evidence { oom: Some("oom-kill".to_owned()), alone: true, usage: None };
    for cancelled in [true, false] {
        for evidence in [&Evidence::default(), &killed] {
            let error = stream("cancelled.buildx", 130, cancelled);
            assert_eq!(verdict(&error, None, &[], evidence), None, "{error:?}");
        }
    }
    for (name, row) in others() {
        assert_eq!(row.verdict(&Evidence::default()), None, "{name}");
        assert!(!row.judged(false).out_of_memory, "{name}");
    }
    // Exit code 37, and an exit code of buildx' own that a step has nothing to do with.
    for code in [1, 102] {
        let error = ended("exit code: 37");
        let row = row(code, Some((STEP, &error)), "");
        assert_eq!(row.verdict(&Evidence::default()), None);
        assert!(!row.judged(false).out_of_memory);
    }
    // A command may write, and even be called, what engines say.
    let quoted = "process \"/bin/sh -c echo ResourceExhausted: cannot allocate memory; exit 1\" did not complete successfully: exit code: 1";
    let row =
        Row { code: 102, error: Some((STEP, quoted)), output: &["Killed by a reviewer", "exit 137"], tail: quoted };
    assert_eq!(row.verdict(&Evidence::default()), None);
}

#[test]
fn kills_get_their_verdicts() {
    use OomVerdict::{Certain, Probable};

    let (memory, code_137, code_5, code_101) =
        (ended("cannot allocate memory"), ended("exit code: 137"), ended("exit code: 5"), ended("exit code: 101"));
    let tail = format!("ERROR: failed to build: failed to solve: ResourceExhausted: {memory}");
    let tail = tail.as_str();
    let killed: &[&str] = &["start", "Killed", "tail=137"];
    let step = |error| Some((STEP, error));
    let rows = [
        ("BuildKit sees it, buildx", Row { code: 102, error: step(&*memory), output: &[], tail }, Some(Certain)),
        ("BuildKit sees it, buildctl", Row { code: 1, error: step(&*memory), output: &[], tail }, Some(Certain)),
        (
            "rc 102 is enough beside the text",
            Row { code: 102, error: step(&*memory), output: &[], tail: "" },
            Some(Certain),
        ),
        ("the text alone is not", Row { code: 1, error: step(&*memory), output: &[], tail: "" }, None),
        (
            "PID 1, where BuildKit does not see it",
            Row { code: 1, error: step(&*code_137), output: &[], tail: "" },
            Some(Probable),
        ),
        (
            "a child, where BuildKit does not see it",
            Row { code: 1, error: step(&*code_5), output: killed, tail: "" },
            Some(Probable),
        ),
        (
            "`kill -9` from outside says no more",
            Row { code: 1, error: step(&*code_137), output: &[], tail: "" },
            Some(Probable),
        ),
        ("the shell's own code", Row { code: 1, error: step(&*code_5), output: &["bye"], tail: "" }, None),
    ];
    for (name, row, expected) in &rows {
        let found = row.verdict(&Evidence::default());
        assert_eq!(found.as_ref().map(|oom| oom.verdict), *expected, "{name}: {found:?}");
        if let Some(found) = found {
            assert!(found.evidence.ends_with(&format!(" at {STEP}")), "{name}: {found:?}");
        }
        assert_eq!(row.judged(false).out_of_memory, *expected == Some(Certain), "{name}");
        // Who was cancelled did not run out of memory.
        let cancelled = row.judged(true);
        assert_eq!(verdict(&cancelled, Some(STEP), &[], &Evidence::default()), None, "{name}");
    }
    for line in [
        "error: could not compile `syn` (lib); (signal: 9, SIGKILL: kill)",
        "collect2: fatal error: ld terminated with signal 9 [Killed]",
        "c++: fatal error: Killed signal terminated program cc1plus",
        "  Killed",
        "memory allocation of 1073741824 bytes failed",
        "LLVM ERROR: out of memory",
        "fork: Cannot allocate memory",
    ] {
        let row = Row {
            code: 1,
            error: step(&*code_101),
            output: &["warning: x", line, "make: *** [all] Error 1"],
            tail: "",
        };
        let found = row.verdict(&Evidence::default()).unwrap();
        assert_eq!(found.verdict, Probable, "{line}");
        assert!(found.evidence.contains(line.trim()) && found.evidence.contains("exit code 101"), "{found:?}");
    }
}

#[test]
fn what_the_runner_says_makes_certain() {
    let (code_5, code_137) = (ended("exit code: 5"), ended("exit code: 137"));
    let said =
        |alone| Evidence { oom: Some("Memory cgroup out of memory: Killed process 7".to_owned()), alone, usage: None };
    let plain = row(1, Some((STEP, &code_5)), "");
    assert_eq!(plain.verdict(&said(true)).unwrap().verdict, OomVerdict::Certain);
    // Somebody else may have been killed.
    assert_eq!(plain.verdict(&said(false)), None);
    let looks_like_it = row(1, Some((STEP, &code_137)), "");
    let certain = looks_like_it.verdict(&said(false)).unwrap();
    assert_eq!(certain.verdict, OomVerdict::Certain);
    assert!(certain.evidence.contains("Killed process 7") && certain.evidence.contains("exit code 137"), "{certain:?}");
    // The kill may have hit the engine itself.
    let gone = row(1, None, "ERROR: failed to solve: Unavailable: error reading from server: EOF");
    assert_eq!(gone.verdict(&said(true)).unwrap().verdict, OomVerdict::Certain);
    // A full disk is none, and what was found before any step ran is none.
    for (name, row) in
        others().into_iter().filter(|(name, _)| !name.starts_with("daemon") && !name.starts_with("cache"))
    {
        let is_engine =
            ["engine race", "wrong flag", "the plugin was killed", "something else is exhausted"].contains(&name);
        assert!(is_engine || row.verdict(&said(true)).is_none(), "{name}");
    }
}

proptest! {
    #[test]
    fn only_the_last_lines_are_looked_at(before in 0usize..300, after in 0usize..300) {
        let mut output = vec!["compiling".to_owned(); before];
        output.push("Killed".to_owned());
        output.extend(vec!["x".to_owned(); after]);
        let error = ended("exit code: 2");
        let judged = row(1, Some((STEP, &error)), "").judged(false);
        prop_assert_eq!(verdict(&judged, None, &output, &Evidence::default()).is_some(), after < LINES);
    }

    #[test]
    fn no_text_of_a_step_makes_certain(lines in prop::collection::vec("(?s).{0,60}", 0..20), code in 1i32..256) {
        let error = ended(&format!("exit code: {code}"));
        let judged = row(1, Some((STEP, &error)), &lines.join("\n")).judged(false);
        let found = verdict(&judged, Some(STEP), &lines, &Evidence::default());
        prop_assert!(found.is_none_or(|oom| oom.verdict == OomVerdict::Probable));
    }
}
