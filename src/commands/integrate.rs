use std::io::Read;

use super::context::Context;
use super::error::CommandError;
use super::events::{self, EventArgs};
use super::exit::Exit;
use super::selection::SelectionArgs;
use crate::cache::Workspace;
use crate::host::clock;
use crate::notify::{self, Settings};
use crate::report::json;
use crate::report::json::integrate::Integrate;
use crate::run::delivered::{Checked, MAX_DOCUMENT, SecretContext, State};

/// Check that the secrets which were delivered are those that layers need; reads a JSON document on stdin
///
/// No value of a secret is read. The answer is one line of JSON. Exit code 1 says that something is missing or wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cat delivered.json | lamina integrate --all
  cat delivered.json | lamina integrate stratumiops --events-url nats://127.0.0.1:4222")]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,
    /// The workspace that this is [default: the catalog's events.workspace, or its name]
    #[arg(long, value_name = "WORKSPACE", env = "LAMINA_WORKSPACE", hide_env_values = true)]
    workspace: Option<Workspace>,
    #[command(flatten)]
    events: EventArgs,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(MAX_DOCUMENT + 1).read_to_end(&mut text);
    read.map_err(|error| CommandError::failure("stdin can't be read", error))?;
    let wrong = |why: String| {
        CommandError::new(Exit::Failure, format!("stdin holds no secret-delivery context: {why}"))
            .hint("`lamina schema secret-context` says what it is")
    };
    if text.len() as u64 > MAX_DOCUMENT {
        return Err(wrong(format!("it has more than {MAX_DOCUMENT} bytes")));
    }
    let delivered = SecretContext::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let (snapshot, selected) = args.selection.select_or_all(context)?;
    let layers = || selected.layers.iter().filter_map(|name| snapshot.layer(name));
    let checked = delivered.check(layers(), clock::now(), context.folder(), |name| std::env::var_os(name));
    let unknown = delivered.unknown(&checked);
    let workspace = events::workspace(&snapshot, args.workspace.as_ref());
    let is_own = workspace == delivered.workspace;
    if !is_own {
        context
            .ui
            .remark(&format!("it was delivered to the workspace `{}`, and this is `{workspace}`", delivered.workspace));
    }
    for id in &unknown {
        context.ui.remark(&format!("`{id}` was delivered, and no layer here declares such a secret"));
    }
    checked.iter().filter(|checked| checked.is_wrong()).for_each(|checked| context.ui.remark(&said(checked)));
    let names = layers().map(|layer| layer.name.as_str()).collect();
    let answer = Integrate::new((&delivered.workspace, is_own), names, &checked, unknown);
    let (ready, line) = (answer.is_ready(), json::answer_line(&answer));
    let settings = args.events.settings(context, &snapshot, workspace);
    tell(context, settings, ready, &line);
    context.ui.answer(&format!("{line}\n"))?;
    Ok(if ready { Exit::Success } else { Exit::Failure })
}

/// Tells other programs; that they can't be told is said, and no more.
fn tell(context: &Context<'_>, settings: Option<Settings>, ready: bool, line: &str) {
    let Some(settings) = settings else {
        return context
            .ui
            .remark("warning: no event is told: no NATS is configured (--events-url, or the catalog's events.url)");
    };
    let what = if ready { "integrate.completed" } else { "integrate.failed" };
    let trouble = match notify::send(settings, what, line.as_bytes().to_vec()) {
        Ok(trouble) => trouble,
        Err(error) => Some(format!("no event is told: {error}")),
    };
    trouble.iter().for_each(|trouble| context.ui.remark(&format!("warning: {trouble}")));
}

/// What is wrong with a secret, for the person who has to act.
fn said(checked: &Checked) -> String {
    let Checked { id, layers, state, .. } = checked;
    let layers = layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let what = match state {
        State::Ready | State::Missing => "was not delivered",
        State::Ambiguous => "was delivered in a file and in a variable: one of both is meant",
        State::Expired => "has expired",
        State::Absent => "is not where it was said to be",
        State::Unreadable => "is in a file that can't be read",
        State::Exposed => "is in a file that everybody on this machine can read (chmod o-r)",
        State::Empty => "is empty",
        State::TooLarge => "is larger than BuildKit takes",
    };
    format!("the secret `{id}` of {layers} {what}")
}
