//! How builds end, judged from what clients wrote: streams of real failures, recorded with the clients and engines of
//! docs/engines.md (digests are cut short, and inputs left out), and the texts of those that need more than a test has.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use lamina::engine::{Ending, Progress, Seen, SolveError, Solved, Stream, VertexError, judge};
use lamina::event::{FailureKind, StepStatus};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

pub fn recorded(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/recorded").join(name)).unwrap()
}

/// All that is told of a stream that arrives in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Progress>, Seen) {
    let mut told = Vec::new();
    let mut stream = Stream::default();
    pieces.into_iter().for_each(|piece| stream.feed(piece, &mut |progress| told.push(progress)));
    let seen = stream.finish(&mut |progress| told.push(progress));
    (told, seen)
}

fn ended(name: &str, code: i32) -> Result<Solved, SolveError> {
    let (_, seen) = read([&*recorded(name)]);
    judge(&Ending { code: Some(code), ..Ending::default() }, seen)
}

#[test]
fn recorded_failures() {
    use FailureKind::*;

    for (name, kind, retryable, exit_code, message) in [
        ("step-exits.buildx", Step, false, Some(37), "`[2/2] RUN echo start "),
        ("step-exits.buildctl", Step, false, Some(37), "`[2/2] RUN echo start "),
        ("parse-error.buildx", Dockerfile, false, None, "dockerfile parse error on line 2: unknown instruction: RUNN"),
        ("base-missing.buildctl", Base, false, None, "registry.test:5000/no/thing:1: "),
        ("secret-not-given.buildx", Secret, false, None, "`[stage-0 2/2] RUN --mount=type=secret,"),
        ("copy-missing.buildx", Context, false, None, "`[stage-1 2/2] COPY nofile /`: failed to c"),
        ("push-down.buildx", Registry, true, None, "failed to push 127.0.0.1:1/a/b:t: failed to do request: Head"),
        ("engine-killed.buildctl", Engine, true, None, "failed to receive status: rpc error: code = Unavailable"),
    ] {
        let error = ended(name, 1).unwrap_err();
        let judged = (error.kind, error.retryable, error.exit_code, error.cancelled);
        assert_eq!(judged, (kind, retryable, exit_code, false), "{name}: {error:?}");
        assert!(error.message.starts_with(message), "{name}: {error:?}");
    }
}

#[test]
fn recorded_builds_that_are_good_all_the_same() {
    for name in ["cache-broken.buildx", "cache-broken.buildctl"] {
        let (told, seen) = read([&*recorded(name)]);
        assert_eq!(seen.errors, [], "{name}");
        let warnings: Vec<_> =
            told.iter().filter(|told| matches!(told, Progress::Warning(text) if text.contains("can't be"))).collect();
        assert_eq!(warnings.len(), 1, "the export alone: {warnings:?}");
        assert!(!told.iter().any(|told| matches!(told, Progress::Finished { status: StepStatus::Failed, .. })));
        let metadata = format!("{{\"containerimage.digest\": \"sha256:{}\"}}", "0".repeat(64)).into_bytes();
        let ending = Ending { code: Some(0), pushed: true, metadata: Some(metadata), ..Ending::default() };
        let solved = judge(&ending, seen.clone()).unwrap();
        assert_eq!((solved.steps_run, solved.steps_cached), (1, 0), "{name}");
        // A client that says nothing of what it pushed has not done what it was asked for.
        let silent = judge(&Ending { metadata: None, ..ending }, seen).unwrap_err();
        assert_eq!((silent.kind, silent.retryable), (FailureKind::Engine, false));
    }
}

#[test]
fn a_recorded_cancellation() {
    let (told, seen) = read([&*recorded("cancelled.buildx")]);
    assert!(told.iter().any(|told| matches!(told, Progress::Finished { status: StepStatus::Cancelled, .. })));
    let ending = Ending { code: Some(130), cancelled: true, ..Ending::default() };
    let error = judge(&ending, seen).unwrap_err();
    assert!(error.cancelled && !error.retryable && error.step.is_none(), "{error:?}");
}

/// An ending without a step that failed.
fn of_tail(code: Option<i32>, steps: u32, tail: &str) -> SolveError {
    let seen = Seen { steps, tail: tail.lines().map(str::to_owned).collect(), ..Seen::default() };
    judge(&Ending { code, ..Ending::default() }, seen).unwrap_err()
}

#[test]
fn texts_behind_the_stream() {
    use FailureKind::*;

    for (code, steps, tail, kind, retryable) in [
        (
            1,
            0,
            "ERROR: Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?",
            Engine,
            false,
        ),
        (
            1,
            0,
            "error: listing workers for Build: failed to list workers: Unavailable: connection error: desc = \"transport: Error while dialing: dial unix /x.sock: connect: no such file or directory\"",
            Engine,
            false,
        ),
        (
            1,
            0,
            "ERROR: error during connect: Get \"http://10.0.0.1:2375/_ping\": dial tcp 10.0.0.1:2375: connect: connection refused",
            Engine,
            false,
        ),
        (1, 4, "ERROR: failed to solve: Unavailable: error reading from server: EOF", Engine, true),
        (
            1,
            4,
            "ERROR: failed to build: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
            Engine,
            true,
        ),
        (125, 0, "unknown flag: --nonsense\nSee 'docker buildx build --help'.", Engine, false),
        (1, 0, "ERROR: failed to build: failed to stat /nope: stat /nope: no such file or directory", Secret, false),
        (
            1,
            3,
            "ERROR: failed to solve: failed to read dockerfile: open D.none: no such file or directory",
            Dockerfile,
            false,
        ),
        (
            102,
            3,
            "ERROR: failed to build: failed to solve: ResourceExhausted: write /x: no space left on device",
            Resources,
            false,
        ),
        (1, 3, "error: failed to solve: something that nobody has seen yet", Other, false),
        (255, 3, "", Engine, true),
        (1, 0, "", Engine, true),
    ] {
        let error = of_tail(Some(code), steps, tail);
        assert_eq!((error.kind, error.retryable), (kind, retryable), "{tail}: {error:?}");
        assert!(!error.message.starts_with("ERROR") && !error.message.contains("failed to solve: "), "{error:?}");
    }
    let killed = of_tail(None, 3, "warning of something");
    assert_eq!((killed.kind, killed.retryable, &*killed.message), (Engine, true, "the client was killed"));
}

#[test]
fn errors_of_steps() {
    use FailureKind::*;

    let process = "process \"/bin/sh -c make\" did not complete successfully:";
    for (code, name, error, kind, retryable, exit_code) in [
        // Memory ran out, where the engine can see it (cgroup v2).
        (102, "[2/2] RUN make", format!("{process} cannot allocate memory"), Resources, false, None),
        (1, "[2/2] RUN make", format!("{process} cannot allocate memory"), Resources, false, None),
        (1, "[2/2] RUN make", format!("{process} exit code: 137"), Step, false, Some(137)),
        (1, "[2/2] RUN make", format!("{process} exit code: 5"), Step, false, Some(5)),
        (1, "exporting to image", "image \"127.0.0.1:5000/a:fp-1\": already exists".into(), Engine, true, None),
        (1, "exporting to image", "failed to prepare extraction snapshot \"extract-1 sha256:0\": parent snapshot sha256:1 does not exist: not found".into(), Engine, true, None),
        (1, "exporting to image", "failed to push r.test/a:t: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://r.test/token: 401 Unauthorized".into(), Unauthorized, false, None),
        (1, "exporting to image", "failed to push r.test/a:t: failed to authorize: failed to fetch anonymous token: Get \"https://r.test/token\": dial tcp: lookup r.test: no such host".into(), Registry, true, None),
        (1, "exporting to image", "failed to push r.test/a:t: unexpected status from PUT request to https://r.test/v2/a/manifests/t: 502 Bad Gateway".into(), Registry, true, None),
        (1, "[internal] load metadata for r.test/a:t", "r.test/a:t: not found".into(), Base, false, None),
        (1, "[internal] load metadata for r.test/a:t", "failed to do request: Head \"https://r.test/v2/a/manifests/t\": http: server gave HTTP response to HTTPS client".into(), Registry, false, None),
        (1, "[internal] load metadata for r.test/a:t", "no match for platform in manifest: not found".into(), Base, false, None),
        (1, "exporting to image", "content digest sha256:0: not found".into(), Other, false, None),
        (1, "[1/2] FROM r.test/a:t", "failed to copy: content of sha256:0: not found".into(), Base, false, None),
        (1, "[2/2] RUN make", "failed to mount: permission denied: unknown".into(), Step, false, None),
        (1, "[2/2] COPY a /", "lstat /var/lib/x: no space left on device".into(), Resources, false, None),
    ] {
        let culprit = VertexError { step: 7, name: name.to_owned(), error: error.clone() };
        let seen = Seen { errors: vec![culprit], steps: 8, ..Seen::default() };
        let judged = judge(&Ending { code: Some(code), ..Ending::default() }, seen).unwrap_err();
        assert_eq!((judged.kind, judged.retryable, judged.exit_code), (kind, retryable, exit_code), "{error}: {judged:?}");
        assert_eq!(judged.step, Some(7));
    }
}

/// The messages of a stream as old clients write them, over many lines.
fn pretty(stream: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for line in String::from_utf8_lossy(stream).lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(message) if message.is_object() => out += &format!("{message:#}\n"),
            _ => out += &format!("{line}\n"),
        }
    }
    out.into_bytes()
}

#[test]
fn the_form_of_messages_does_not_matter() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/recorded")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stream = recorded(&name);
        let expected = read([&*stream]);
        assert!(!expected.0.is_empty(), "{name}");
        assert_eq!(read([&*pretty(&stream)]), expected, "{name}, over many lines");
        assert_eq!(read(stream.chunks(1)), expected, "{name}, byte by byte");
        let joined: Vec<u8> = String::from_utf8_lossy(&stream).replace("}\n{", "}{").into_bytes();
        assert_eq!(read([&*joined]), expected, "{name}, without ends of lines");
    }
}

/// A message with what a step writes.
fn log(stream: i64, data: &[u8]) -> String {
    let data = base64::engine::general_purpose::STANDARD.encode(data);
    serde_json::json!({"logs": [{"vertex": "sha256:a", "stream": stream, "data": data}]}).to_string() + "\n"
}

const BEGUN: &str = r#"{"vertexes":[{"digest":"sha256:a","name":"[2/4] RUN x","started":"2026-01-01T00:00:00Z"}]}"#;

proptest! {
    #[test]
    fn what_a_step_writes_arrives_whole(
        lines in prop::collection::vec("[^\r\n]{0,40}", 0..12),
        cuts in prop::collection::vec(any::<Index>(), 0..24),
        pieces in prop::collection::vec(any::<Index>(), 0..24),
    ) {
        let text: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let mut stream = BEGUN.to_owned();
        for chunk in cut(&text, &cuts) {
            stream += &log(1, chunk);
        }
        let (told, _) = read(cut(stream.as_bytes(), &pieces));
        let wrote: Vec<String> = told.into_iter().filter_map(|told| match told {
            Progress::Output { step: 0, stderr: false, line } => Some(line),
            _ => None,
        }).collect();
        prop_assert_eq!(wrote, lines);
    }

    #[test]
    fn nothing_that_a_client_writes_is_too_much(
        noise in prop::collection::vec(any::<u8>(), 0..400),
        at in any::<Index>(),
        pieces in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut stream = recorded("step-exits.buildx");
        let at = at.index(stream.len());
        stream.splice(at..at, noise);
        let whole = read([&*stream]);
        prop_assert_eq!(read(cut(&stream, &pieces)), whole);
    }
}

/// Cuts bytes anywhere.
fn cut<'a>(bytes: &'a [u8], at: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = at.iter().map(|index| index.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

#[test]
fn steps_that_begin_again_last_as_long_as_all_their_times() {
    let vertex = |started: &str, completed: Option<&str>| {
        let time = |second: &str| format!("2026-01-01T00:00:{second}Z");
        let vertex = serde_json::json!({
            "digest": "sha256:a", "name": "[1/2] FROM x", "started": time(started), "completed": completed.map(time),
        });
        serde_json::json!({ "vertexes": [vertex] }).to_string()
    };
    let messages = [
        vertex("01", None),
        vertex("01", Some("02.5")),
        vertex("01", Some("02.5")),
        vertex("03", None),
        vertex("03", Some("04")),
    ];
    let (told, seen) = read([messages.concat().as_bytes()]);
    let ended: Vec<u64> = told
        .iter()
        .filter_map(|told| match told {
            Progress::Finished { step: 0, status: StepStatus::Done, ms, error: None } => Some(*ms),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [1500, 2500]);
    assert_eq!(told.iter().filter(|told| matches!(told, Progress::Started { step: 0, .. })).count(), 2);
    assert_eq!((seen.steps, seen.steps_run, seen.steps_cached), (1, 0, 0), "FROM is no instruction that is run");
}

#[test]
fn bounds() {
    // A line without an end, a message without an end, more steps than anybody writes, more text than anybody reads.
    let long = "x".repeat(100 << 10);
    let (told, _) = read([BEGUN.as_bytes(), log(2, long.as_bytes()).as_bytes()]);
    let lines: Vec<&str> = told
        .iter()
        .filter_map(|told| match told {
            Progress::Output { line, stderr: true, .. } => Some(line.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(lines.concat(), long);
    assert!(lines.iter().all(|line| line.len() <= 16 << 10));

    let mut huge = b"{\"vertexes\":[{\"digest\":\"b\",\"name\":\"".to_vec();
    huge.resize(9 << 20, b'y');
    huge.extend_from_slice(b"\",\"started\":\"2026-01-01T00:00:00Z\"}]}\n");
    huge.extend_from_slice(BEGUN.as_bytes());
    let blanks = vec![b' '; 100 << 10];
    let (told, seen) = read([&blanks[..], &huge]);
    assert_eq!((seen.steps, seen.tail), (1, vec![]), "what follows is read again");
    assert!(matches!(&told[..], [Progress::Warning(_), Progress::Started { .. }]), "{told:?}");

    let vertex = |n: u32| format!(r#"{{"vertexes":[{{"digest":"{n}","name":"n","started":"2026-01-01T00:00:00Z"}}]}}"#);
    let many: String = (0..10_100).map(vertex).collect();
    assert_eq!(read([many.as_bytes()]).1.steps, 10_000);

    // Long commands stand before how they ended.
    let error = format!("process \"{long}\" did not complete successfully: exit code: 9");
    let vertex = serde_json::json!({"digest": "b", "name": format!("[1/1] RUN {long}"), "error": error});
    let (_, seen) = read([serde_json::json!({"vertexes": [vertex]}).to_string().as_bytes()]);
    let error = judge(&Ending { code: Some(1), ..Ending::default() }, seen).unwrap_err();
    assert_eq!((error.exit_code, error.message.len() < 200), (Some(9), true), "{error:?}");

    let tail: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let (_, seen) = read([tail.as_bytes()]);
    assert_eq!((seen.tail.len(), seen.tail[199].as_str()), (200, "line 999"));
}
