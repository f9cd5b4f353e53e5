//! `lamina suggest --verify`: what was predicted, put to cargo in a container of the layers.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;

use super::super::context::Context;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::offers::{Catalog, Held};
use super::subject::Subject;
use super::{Args, SuggestFormat};
use crate::cargo::{Elsewhere, Verdict};
use crate::engine::{Engine, Output, Progress, Solve, SolveError};
use crate::event::FailureKind;
use crate::host::signal::Signals;
use crate::model::LayerName;
use crate::registry;
use crate::report::json;
use crate::report::suggest::{Snippet, VerifyReport};
use crate::suggest::{Advice, Confirmation, Costs, Said, Stack, Units, Wanted};

/// The lines of a failed build that are shown at most.
const SHOWN: usize = 20;

/// Builds in the stage that is suggested for a project, as far as cargo's verdicts, and prints them beside what was
/// predicted. The prediction is made from the plan of that cargo.
///
/// # Errors
/// When there is no such image, or cargo can't be asked there.
pub fn run(
    context: &Context<'_>,
    args: &Args,
    engine: &dyn Engine,
    subject: &Subject,
    (catalog, held, costs): (&Catalog<'_>, &Held<'_>, &Costs<'_>),
    stack: &Stack<'_>,
) -> Result<Exit, CommandError> {
    let layers: Vec<&LayerName> = std::iter::once(stack.base).chain(stack.donors.iter().copied()).collect();
    catalog.known(&layers)?;
    let snippet = catalog.snippet(context, &args.registry, stack, &args.build)?;
    context.ui.remark(&format!("asking cargo in {}; nothing is compiled", snippet.base.image));
    let asked = ask(engine, subject, args, &snippet, catalog.cargo_home(&layers))?;

    let graph = &asked.graph;
    let packages = subject.packages();
    let units = Units::new(graph, costs);
    let offers = catalog.offers(held, subject, &args.build, Some(graph));
    let advice = Advice::of(Wanted::Units(&units), offers, costs, &packages, 1);
    let predicted = advice.predicted(&units, &layers);
    let verdicts = asked.oracle.by_unit(graph).ok_or_else(|| {
        let message = format!("the verdicts of {} are not on the units of its own plan", asked.cargo);
        CommandError::new(Exit::Failure, message).hint("this is an error in lamina, or a cargo that it does not know")
    })?;
    let said: Vec<Option<Said<'_>>> = verdicts.into_iter().map(|verdict| verdict.map(said)).collect();
    let confirmation = Confirmation::new(graph, &predicted, &said);
    let report = VerifyReport {
        project: &subject.name,
        folder: subject.folder.display().to_string(),
        profile: &args.build.cargo.profile,
        target: args.build.cargo.target.as_deref(),
        cargo: &asked.cargo,
        snippet: &snippet,
        confirmation: &confirmation,
    };
    context.ui.answer(&match args.format {
        SuggestFormat::Text | SuggestFormat::Names => report.text(),
        SuggestFormat::Json => json::answer(json::confirm::Confirm::new(&report)),
        SuggestFormat::Markdown => report.markdown(),
    })?;
    Ok(if confirmation.wrong().next().is_none() { Exit::Success } else { Exit::Build })
}

/// Makes sure that a project can go into a container.
///
/// # Errors
/// When it needs packages that lie elsewhere.
pub fn is_whole(subject: &Subject) -> Result<(), CommandError> {
    let outside = subject.project.packages_outside();
    if outside.is_empty() {
        return Ok(());
    }
    let outside: Vec<String> = outside.iter().map(|folder| folder.display().to_string()).collect();
    let message = format!("{} can't go into a container alone: it needs {}", subject.name, outside.join(", "));
    Err(CommandError::new(Exit::Failure, message).hint("packages in folders outside of the workspace are not copied"))
}

fn said(verdict: &Verdict) -> Said<'_> {
    Said { fresh: verdict.fresh, reason: verdict.reason.as_deref() }
}

/// What cargo says in the stage of a snippet.
fn ask(
    engine: &dyn Engine,
    subject: &Subject,
    args: &Args,
    snippet: &Snippet,
    cargo_home: Option<&str>,
) -> Result<Elsewhere, CommandError> {
    let no_place = |error: std::io::Error| CommandError::failure("there is no place for a copy of the project", error);
    let folder = tempfile::Builder::new().prefix("lamina-verify-").tempdir().map_err(no_place)?;
    let [skeleton, question, answer] = ["project", "question", "answer"].map(|name| folder.path().join(name));
    let failed = |error| CommandError::project(&subject.folder, error);
    Elsewhere::question(&subject.project, &args.build.cargo.options(), &skeleton, &question).map_err(failed)?;
    // Names of no layer.
    let mut run =
        "FROM build AS lamina_asked\nRUN --mount=type=bind,from=lamina_question,target=/lamina-question ".to_owned();
    // What is changed in the target folder is gone with the step: the engine need not keep it.
    let there = snippet.cooked();
    run.extend(there.map(|there| format!("--mount=type=bind,from=build,source={there},target={there},rw ")));
    // What crates are downloaded is no part of the verdict.
    let registry = cargo_home.map(|home| format!("--mount=type=cache,target={home}/registry,sharing=private "));
    run.extend(registry);
    run.push_str(&format!("/lamina-question/{} /lamina-answer\n", Elsewhere::SCRIPT));
    let dockerfile = folder.path().join("Dockerfile");
    let text = snippet.prepared() + &run + "FROM scratch\nCOPY --from=lamina_asked /lamina-answer /\n";
    std::fs::write(&dockerfile, text).map_err(no_place)?;
    let solve = Solve {
        dockerfile,
        context: skeleton,
        contexts: [("lamina_question".to_owned(), question.display().to_string())].into(),
        output: Output::Folder(answer.clone()),
        ..Solve::default()
    };
    solved(engine, &solve)?;
    Elsewhere::answer(&subject.project, &answer)
        .map_err(|error| CommandError::failure("cargo's answer can't be used", error))
}

/// Builds; a signal ends it.
fn solved(engine: &dyn Engine, solve: &Solve) -> Result<(), CommandError> {
    let mut said: VecDeque<(u32, String)> = VecDeque::new();
    let cancel = CancellationToken::new();
    let ended = registry::block_on(async {
        let mut signals = Signals::listen().map_err(|error| CommandError::failure("signals can't be heard", error))?;
        let mut listen = |progress: Progress| {
            if let Progress::Output { step, line, .. } = progress {
                said.push_back((step, line));
                if said.len() > SHOWN * 10 {
                    said.pop_front();
                }
            }
        };
        let building = engine.solve(solve, &mut listen, &cancel);
        tokio::pin!(building);
        Ok::<_, CommandError>(tokio::select! {
            ended = &mut building => Some(ended),
            _ = signals.next() => {
                cancel.cancel();
                // Who asks a second time does not wait for the engine to say that it has ended.
                tokio::select! {
                    ended = building => Some(ended),
                    _ = signals.next() => None,
                }
            }
        })
    })??;
    match ended {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) if !error.cancelled => Err(failed(&error, said)),
        _ => Err(CommandError::new(Exit::Interrupted, "interrupted before cargo has answered")),
    }
}

/// Why cargo could not be asked, with the last lines of the step that failed.
fn failed(error: &SolveError, said: VecDeque<(u32, String)>) -> CommandError {
    let exit = match error.kind {
        FailureKind::Engine => Exit::Engine,
        FailureKind::Registry | FailureKind::Unauthorized | FailureKind::Base => Exit::Registry,
        _ => Exit::Failure,
    };
    let of_step = said.into_iter().filter(|(step, _)| Some(*step) == error.step).map(|(_, line)| line);
    let lines: Vec<String> = of_step.collect();
    let lines = lines.iter().skip(lines.len().saturating_sub(SHOWN)).map(|line| format!("\n  {line}"));
    let message = format!("cargo could not be asked: {}{}", error.message, lines.collect::<String>());
    error.hints.iter().fold(CommandError::new(exit, message), CommandError::hint)
}
