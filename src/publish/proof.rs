//! Probes, each in a container of its own, run by BuildKit itself: a Dockerfile of two lines, no cache, no network, no
//! result.
//!
//! Joined into one build, probes would end each other, and what joins them (a last stage that copies something from
//! each) takes BuildKit longer than a further client does.

use std::collections::VecDeque;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Output, Progress, Solve, SolveError};
use crate::event::{FailureKind, ProbeResult};
use crate::model::{Digest, ImageRef, LayerName, Network, Platform};
use crate::snapshot::Probes;

/// How many probes of an image run at the same time.
const AT_A_TIME: usize = 4;
/// How long one probe may take; the engine may have to pull the image first.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How many of a probe's last lines are kept.
const KEPT_LINES: usize = 20;
/// How many characters of such a line.
const KEPT_CHARS: usize = 400;

/// What all probes of an image came to, in the order that they are declared in, platform by platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What came out of each.
    pub results: Vec<ProbeResult>,
}

impl Verdict {
    /// Whether every probe was right.
    pub fn is_good(&self) -> bool {
        self.wrong().next().is_none()
    }

    /// The probes that were wrong.
    pub fn wrong(&self) -> impl Iterator<Item = &ProbeResult> {
        self.results.iter().filter(|result| result.wrong.is_some())
    }
}

/// Something to prove on a platform.
struct Job<'a> {
    what: What<'a>,
    declared_by: &'a LayerName,
    platform: &'a Platform,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Tool { name: &'a str, command: &'a [String], version: Option<&'a str> },
    Artifact(&'a str),
}

/// Runs all probes of an image, each in a clean container of the digest, without network; on each platform.
///
/// Every probe gets its result, whatever the others say. `found` is told of each, in the order of [`Verdict::results`].
/// An image without probes is good.
///
/// # Errors
/// When the engine could not run a probe. That a probe failed, or that an artifact is not there, is a result.
pub async fn prove(
    engine: &dyn Engine,
    image: &ImageRef,
    digest: &Digest,
    probes: &Probes<'_>,
    found: &mut (dyn FnMut(ProbeResult) + Send),
    cancel: &CancellationToken,
) -> Result<Verdict, SolveError> {
    let from = format!("{}/{}@{digest}", image.registry(), image.repository());
    let from = &from;
    let jobs = jobs(probes).into_iter().map(|job| async move { job.run(engine, from, cancel).await });
    let mut running = stream::iter(jobs).buffered(AT_A_TIME);
    let mut verdict = Verdict::default();
    while let Some(result) = running.next().await {
        let result = result?;
        found(result.clone());
        verdict.results.push(result);
    }
    Ok(verdict)
}

fn jobs<'a>(probes: &Probes<'a>) -> Vec<Job<'a>> {
    let on = |platform: &'a Platform| {
        let tools = probes.tools.iter().map(move |tool| Job {
            what: What::Tool {
                name: &tool.what.name,
                command: &tool.what.probe,
                version: tool.what.version.as_deref(),
            },
            declared_by: tool.from,
            platform,
        });
        let layer = probes.layer;
        let artifacts = probes.artifacts.iter();
        let artifacts =
            artifacts.map(move |artifact| Job { what: What::Artifact(&artifact.path), declared_by: layer, platform });
        tools.chain(artifacts).collect::<Vec<_>>()
    };
    probes.platforms.iter().flat_map(on).collect()
}

impl Job<'_> {
    async fn run(
        &self,
        engine: &dyn Engine,
        from: &str,
        cancel: &CancellationToken,
    ) -> Result<ProbeResult, SolveError> {
        let mut result = ProbeResult {
            what: String::new(),
            declared_by: self.declared_by.clone(),
            command: Vec::new(),
            platform: self.platform.to_string(),
            expected: None,
            output: Vec::new(),
            wrong: None,
        };
        match self.what {
            What::Tool { name, command, version } => {
                result.what = name.to_owned();
                result.command = command.to_vec();
                result.expected = version.map(str::to_owned);
                let ran =
                    self.solve(engine, &format!("FROM {from}\nRUN {}\n", exec_form(command)), version, cancel).await?;
                result.wrong = match (ran.wrong, version) {
                    (Some(wrong), _) => Some(wrong),
                    (None, Some(version)) if !ran.has_expected => Some(format!("its output does not hold `{version}`")),
                    _ => None,
                };
                result.output = ran.output;
            }
            What::Artifact(path) => {
                result.what = path.to_owned();
                result.wrong = self.look(engine, from, path, cancel).await?.map(str::to_owned);
            }
        }
        Ok(result)
    }

    /// Looks whether a path is there, as root does, for so do those who copy it; says why it counts as missing.
    async fn look(
        &self,
        engine: &dyn Engine,
        from: &str,
        path: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<&'static str>, SolveError> {
        const MISSING: &str = "there is no such path in the image";
        let command = ["test", "-e", path].map(str::to_owned);
        let test = format!("FROM {from}\nUSER 0:0\nRUN {}\n", exec_form(&command));
        let ran = self.solve(engine, &test, None, cancel).await?;
        match ran {
            Ran { wrong: None, .. } => return Ok(None),
            // `test` says nothing where the path is not there; what is said is why it could not be run.
            Ran { output, .. } if output.is_empty() => return Ok(Some(MISSING)),
            _ => {}
        }
        // An image without `test` is copied from. A pattern would be found wherever it matches nothing, too.
        if path.contains(['*', '?', '[', '\\']) {
            return Ok(Some("it can't be looked for: the image has no `test`, and to COPY it is a pattern"));
        }
        // To COPY it is a word of a shell, too.
        let word = |c: char| if "$\"'".contains(c) { format!("\\{c}") } else { c.to_string() };
        let paths = [path.chars().map(word).collect(), "/".to_owned()];
        let copy = format!("FROM scratch\nCOPY --from={from} {}\n", exec_form(&paths));
        let ran = self.solve(engine, &copy, None, cancel).await?;
        Ok(ran.wrong.map(|_| MISSING))
    }

    async fn solve(
        &self,
        engine: &dyn Engine,
        dockerfile: &str,
        expected: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Ran, SolveError> {
        let folder = folder(dockerfile)?;
        let solve = Solve {
            dockerfile: folder.path().join("Dockerfile"),
            context: folder.path().to_owned(),
            platforms: vec![self.platform.clone()],
            network: Network::None,
            no_cache: true,
            output: Output::None,
            ..Solve::default()
        };
        let mut heard = Heard { lines: VecDeque::new(), expected, has_expected: false };
        let mut hear = |progress| heard.hear(progress);
        let impatient = cancel.child_token();
        let outcome = {
            let solving = engine.solve(&solve, &mut hear, &impatient);
            tokio::pin!(solving);
            tokio::select! {
                biased;
                outcome = &mut solving => Some(outcome),
                () = tokio::time::sleep(PATIENCE) => {
                    impatient.cancel();
                    // It is over on the engine, too, when this comes back.
                    let _ = solving.await;
                    None
                }
            }
        };
        let wrong = match outcome {
            Some(Ok(_)) => None,
            Some(Err(error)) if is_verdict(&error) => Some(why(&error, &heard.lines)),
            Some(Err(error)) => return Err(error),
            None => Some(format!("it was not done after {} min", PATIENCE.as_secs() / 60)),
        };
        Ok(Ran { wrong, has_expected: heard.has_expected, output: heard.lines.into() })
    }
}

/// How a command in a container ended.
struct Ran {
    wrong: Option<String>,
    has_expected: bool,
    /// Its last lines.
    output: Vec<String>,
}

/// What a command wrote.
struct Heard<'a> {
    lines: VecDeque<String>,
    expected: Option<&'a str>,
    has_expected: bool,
}

impl Heard<'_> {
    fn hear(&mut self, progress: Progress) {
        let Progress::Output { line, .. } = progress else { return };
        self.has_expected |= self.expected.is_some_and(|expected| line.contains(expected));
        if self.lines.len() == KEPT_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.chars().take(KEPT_CHARS).collect());
    }
}

/// Whether the image is to blame for a failure, and not the engine.
fn is_verdict(error: &SolveError) -> bool {
    !error.cancelled && matches!(error.kind, FailureKind::Step | FailureKind::Context)
}

/// Why a command failed, in words.
fn why(error: &SolveError, lines: &VecDeque<String>) -> String {
    // The words of runc, from "unable to start container process" on.
    let start = lines.iter().rev().find_map(|line| line.split_once("container process: "));
    match (start, error.exit_code) {
        (Some((_, start)), _) => format!("it can't be started: {start}"),
        (None, Some(code)) => format!("it ended with exit code {code}"),
        (None, None) => error.message.clone(),
    }
}

/// A private folder with a Dockerfile, which is its own build context.
pub(super) fn folder(dockerfile: &str) -> Result<TempDir, SolveError> {
    let made = tempfile::Builder::new().prefix("lamina-proof-").tempdir();
    let made = made.and_then(|folder| fs::write(folder.path().join("Dockerfile"), dockerfile).map(|()| folder));
    made.map_err(|error| SolveError::new(FailureKind::Other, format!("a temporary folder can't be written: {error}")))
}

/// A command as a list in JSON, with all that means something to a Dockerfile or a shell written as a number: quotes,
/// line ends, `\`, `$`, `<`, letters of other scripts.
pub(super) fn exec_form(command: &[String]) -> String {
    let mut text = String::from("[");
    for (number, argument) in command.iter().enumerate() {
        text.push_str(if number == 0 { "\"" } else { ",\"" });
        for unit in argument.encode_utf16() {
            match u8::try_from(unit).map(char::from) {
                Ok(plain) if plain.is_ascii_alphanumeric() || " _-./:=+@%,".contains(plain) => text.push(plain),
                _ => drop(write!(text, "\\u{unit:04x}")),
            }
        }
        text.push('"');
    }
    text + "]"
}
