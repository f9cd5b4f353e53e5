//! How a build ended, from the client's exit status, what was seen of its steps, and the file with its answer. No one of
//! them is enough: a step with an error can belong to a build that succeeded, and an image can be in the
//! registry although the build failed.
//!
//! The texts are those of BuildKit 0.13 to 0.32, dockerd 26 to 28 and buildx 0.13 to 0.29, each provoked on a real
//! engine. They are matched anywhere in an error, because what stands before them differs.

use super::stream::{Seen, VertexError};
use super::{SolveError, Solved};
use crate::event::FailureKind;
use crate::model::Digest;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 1000;

/// The code of buildx for a resource that is exhausted.
const EXHAUSTED: i32 = 102;

/// What is known when a client has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Whether it had been asked to end.
    pub cancelled: bool,
    /// Whether an image was to be pushed, so that there has to be a digest.
    pub pushed: bool,
    /// The file with its answer, where it wrote one.
    pub metadata: Option<Vec<u8>>,
}

/// Judges a build that has ended.
///
/// # Errors
/// When it failed or was ended by request.
pub fn judge(ending: &Ending, seen: Seen) -> Result<Solved, SolveError> {
    if ending.code == Some(0) {
        let digest = ending.metadata.as_deref().and_then(digest);
        if ending.pushed && digest.is_none() {
            let message = "the client ended well, but did not say what it has pushed".to_owned();
            return Err(error(FailureKind::Engine, message, &[], seen));
        }
        let digest = digest.filter(|_| ending.pushed);
        return Ok(Solved { digest, steps_run: seen.steps_run, steps_cached: seen.steps_cached });
    }
    if ending.cancelled {
        let error = error(FailureKind::Other, "cancelled".to_owned(), &[], seen);
        return Err(SolveError { cancelled: true, ..error });
    }
    Err(match seen.errors.first().cloned() {
        Some(culprit) => of_step(ending, culprit, seen),
        None => of_tail(ending, seen),
    })
}

/// The digest that the answer gives: the index's where there is one. Other fields are wrong in some versions.
fn digest(metadata: &[u8]) -> Option<Digest> {
    let metadata: serde_json::Value = serde_json::from_slice(metadata).ok()?;
    metadata.get("containerimage.digest")?.as_str()?.parse().ok()
}

/// A failure that a step tells of.
fn of_step(ending: &Ending, culprit: VertexError, seen: Seen) -> SolveError {
    let text = culprit.error.as_str();
    let step = Some(culprit.step);
    if let Some((_, outcome)) = text.rsplit_once("did not complete successfully: ") {
        let code = outcome.strip_prefix("exit code: ").and_then(leading_number);
        let name = first_line(&culprit.name);
        let (kind, message, hint) = match code {
            // The whole outcome: a command may quote the words, and ends with its code then.
            _ if is_memory(outcome) => (FailureKind::Resources, format!("memory ran out in {name}"), Some(MEMORY)),
            Some(137) => (FailureKind::Step, format!("{name} was killed (exit code 137)"), Some(KILLED)),
            Some(code) => (FailureKind::Step, format!("{name} ended with exit code {code}"), None),
            None => (FailureKind::Step, format!("{name} failed: {outcome}"), None),
        };
        let out_of_memory = is_memory(outcome) && is_exhausted(ending, &seen);
        let error = error(kind, message, hint.as_slice(), seen);
        return SolveError { step, exit_code: code, out_of_memory, ..error };
    }
    let out_of_memory = is_memory(text) && is_exhausted(ending, &seen);
    let (kind, retryable, hint) = classify(text);
    let name = culprit.name.as_str();
    let kind = match kind {
        // These say no more than `REF: not found`.
        FailureKind::Other if is_of_base(name) => FailureKind::Base,
        FailureKind::Other if name.contains("] RUN ") => FailureKind::Step,
        // Something else than a registry was asked.
        FailureKind::Registry if name.contains("] ADD ") => FailureKind::Other,
        kind => kind,
    };
    let message = match kind {
        // They name what they are about.
        FailureKind::Base | FailureKind::Registry | FailureKind::Unauthorized => text.to_owned(),
        _ => format!("{}: {text}", first_line(name)),
    };
    SolveError { step, retryable, out_of_memory, ..error(kind, message, hint.as_slice(), seen) }
}

/// Whether an outcome is that memory ran out, in the words of BuildKit 0.16 and later: its executor reads the kernel's
/// count of kills, where it can (cgroup v2).
fn is_memory(outcome: &str) -> bool {
    outcome.trim_end().ends_with("cannot allocate memory")
}

/// Whether the client says that a resource was exhausted. That alone may be the disk.
fn is_exhausted(ending: &Ending, seen: &Seen) -> bool {
    let says_so = |line: &String| line.contains("ResourceExhausted: ") && is_memory(line);
    ending.code == Some(EXHAUSTED) || seen.tail.iter().any(says_so)
}

/// Whether a step looks up or fetches an image that the build starts from.
fn is_of_base(name: &str) -> bool {
    ["load metadata for ", "resolve image config for ", "] FROM "].iter().any(|text| name.contains(text))
}

/// A failure that no step tells of.
fn of_tail(ending: &Ending, seen: Seen) -> SolveError {
    let Some(message) = last_error(&seen.tail) else {
        let how = match ending.code {
            Some(code) => format!("ended with exit code {code}"),
            None => "was killed".to_owned(),
        };
        let message = format!("the client {how} and did not say why");
        return SolveError { retryable: true, ..error(FailureKind::Engine, message, &[], seen) };
    };
    let all = seen.tail.join("\n");
    let (kind, retryable, hint) = match classify(&message) {
        (FailureKind::Other, ..) => classify(&all),
        known => known,
    };
    // An engine that was never reached will not be there at once.
    let retryable = retryable && (kind != FailureKind::Engine || seen.steps > 0);
    // A client that something else ended says nothing of it: what is in the tail is older.
    let gone = kind == FailureKind::Other && (ending.code.is_none() || ending.code == Some(255));
    match gone {
        true => {
            let message = "the client was killed".to_owned();
            SolveError { retryable: true, ..error(FailureKind::Engine, message, &[], seen) }
        }
        false => {
            let out_of_memory =
                is_memory(&message) && (message.contains("ResourceExhausted: ") || ending.code == Some(EXHAUSTED));
            SolveError { retryable, out_of_memory, ..error(kind, message, hint.as_slice(), seen) }
        }
    }
}

fn error(kind: FailureKind, message: String, hints: &[&str], seen: Seen) -> SolveError {
    let message = match in_a_line(&message) {
        silence if silence.is_empty() => "it failed, and nothing says why".to_owned(),
        message => message,
    };
    let hints = hints.iter().map(|hint| (*hint).to_owned()).collect();
    SolveError { hints, tail: seen.tail, ..SolveError::new(kind, message) }
}

const MEMORY: &str = "give the engine more memory, or build fewer layers at the same time (--jobs)";
const KILLED: &str = "exit code 137 most often means that memory ran out";
const DISK: &str = "free disk space of the engine: `docker builder prune`, or `buildctl prune`";
const START: &str = "start the engine, or name it: DOCKER_HOST or a docker context, BUILDKIT_HOST for buildctl";
const HTTP: &str =
    "the registry speaks plain HTTP: say so to the engine (insecure-registries of dockerd, buildkitd.toml)";
const LOGIN: &str = "log in to the registry (`docker login HOST`)";
const CLIENT: &str = "the client does not know an option that lamina uses: install a newer one";
const ENTITLED: &str = "a step asks for more than its layer declares, such as the network of the host";
const SSH: &str = "start an agent and add the key (`ssh-add`), so that SSH_AUTH_SOCK is set";

/// What lets a failure be known: the texts that have to be in it, and of the second list one. First match wins.
type Rule = (&'static [&'static str], &'static [&'static str], FailureKind, bool, Option<&'static str>);

#[rustfmt::skip]
const RULES: &[Rule] = &[
    (&[], &["cannot allocate memory"], FailureKind::Resources, false, Some(MEMORY)),
    (&[], &["no space left on device"], FailureKind::Resources, false, Some(DISK)),
    (&[], &["ResourceExhausted: "], FailureKind::Resources, false, None),
    // The engine's own.
    (&["parent snapshot", "does not exist"], &[], FailureKind::Engine, true, None),
    // Two builds name the same image at once: dockerd's image store takes the first one.
    (&["image \"", "\": already exists"], &[], FailureKind::Engine, true, None),
    (&[], &["Cannot connect to the Docker daemon", "failed to connect to the docker API", "error during connect", "listing workers for Build"], FailureKind::Engine, true, Some(START)),
    (&[], &["no builder", "failed to find driver", "unable to resolve docker endpoint"], FailureKind::Engine, false, Some(START)),
    (&[], &["unknown flag: ", "unknown shorthand flag", "flag provided but not defined", "unknown command"], FailureKind::Engine, false, Some(CLIENT)),
    (&["lamina: `", "can't be run: "], &[], FailureKind::Engine, false, None),
    // The Dockerfile.
    (&[], &["dockerfile parse error", "failed to read dockerfile", "failed to parse stage name", "target stage ", "the Dockerfile cannot be empty", "dockerfile contains no stages"], FailureKind::Dockerfile, false, None),
    (&["failed to load LLB", "is not allowed"], &[], FailureKind::Dockerfile, false, Some(ENTITLED)),
    // What the build gets.
    (&["secret ", ": not found"], &[], FailureKind::Secret, false, None),
    (&[], &["unset ssh forward key", "no SSH key", "no ssh handler", "failed to convert agent config"], FailureKind::Secret, false, Some(SSH)),
    (&["failed to stat"], &["no such file or directory"], FailureKind::Secret, false, None),
    (&["lstat ", "no such file or directory"], &[], FailureKind::Context, false, None),
    (&["\": not found"], &["failed to compute cache key", "failed to calculate checksum"], FailureKind::Context, false, None),
    // A registry that can't be asked; also one that can't be asked for a token.
    (&["server gave HTTP response to HTTPS client"], &[], FailureKind::Registry, false, Some(HTTP)),
    (&[], &["failed to do request", "dial tcp", "i/o timeout", "TLS handshake timeout", "connection reset by peer", "unexpected EOF"], FailureKind::Registry, true, None),
    (&[], &["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "unexpected status: 5"], FailureKind::Registry, true, None),
    (&[], &["429 Too Many Requests", "toomanyrequests"], FailureKind::Registry, true, None),
    (&[], &["failed to authorize", "insufficient_scope", "401 Unauthorized", "403 Forbidden", "authorization failed", "access to the resource is denied", "denied: permission_denied", "access forbidden"], FailureKind::Unauthorized, false, Some(LOGIN)),
    // The connection to the engine, after those to registries: they fail in the same words.
    (&[], &["Unavailable: ", "code = Unavailable", "error reading from server", "connection refused", "transport is closing"], FailureKind::Engine, true, None),
    // A base image.
    (&[], &["failed to resolve source metadata", "no match for platform", "pull access denied"], FailureKind::Base, false, None),
    (&[], &["failed to push", "unexpected status"], FailureKind::Registry, false, None),
];

/// What kind of failure a text tells of, whether it may pass at once, and what to do.
fn classify(text: &str) -> (FailureKind, bool, Option<&'static str>) {
    let rule = RULES.iter().find(|(all, any, ..)| {
        all.iter().all(|part| text.contains(part)) && (any.is_empty() || any.iter().any(|part| text.contains(part)))
    });
    match rule {
        Some((_, _, kind, retryable, hint)) => (*kind, *retryable, *hint),
        None => (FailureKind::Other, false, None),
    }
}

/// What a client says last, without its own words before it.
fn last_error(tail: &[String]) -> Option<String> {
    const PREFIXES: &[&str] = &["ERROR: ", "error: ", "failed to build: ", "failed to solve: "];
    let said = |line: &&String| line.starts_with("ERROR: ") || line.starts_with("error: ");
    let line = tail.iter().rev().find(said).or_else(|| tail.iter().rev().find(|line| !line.trim().is_empty()))?;
    let mut rest = line.as_str();
    while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter;
    }
    Some(rest.to_owned())
}

fn leading_number(text: &str) -> Option<i32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("`{}…`", line.get(..end).unwrap_or_default()),
        None => format!("`{line}`"),
    }
}

/// One line of a bearable length, without control characters.
fn in_a_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect()
}
