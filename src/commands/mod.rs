//! The command line: one file per command, each of which gets data from the `Context`, computes and reports.

mod adr;
mod axioms;
mod build;
mod cache;
mod caching;
mod cargo_args;
mod cascade;
mod changes;
mod completions;
mod context;
mod crates;
mod directed;
mod directives;
mod engine;
mod error;
mod events;
pub mod exit;
mod explain;
mod export;
mod graph;
mod help;
mod images;
mod integrate;
mod list;
mod lock;
mod man;
mod new;
mod outdated;
mod past;
mod plan;
mod planning;
mod pool;
mod progress;
mod replay;
mod report;
mod retag;
mod runners;
mod schema;
mod scope;
mod selection;
mod show;
mod size;
mod sizing;
mod status;
mod suggest;
mod ui;
mod update;
mod validate;
mod verify;
mod warm;
mod why;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use context::Context;
use error::CommandError;
use exit::Exit;
use ui::{ColorChoice, Ui};

use crate::catalog::eval::{self, Overlay};
use crate::host::guard;

/// The hidden argument that makes this program an evaluation worker.
const WORKER_ARGUMENT: &str = "__evaluate";

/// Run a catalog of container build layers
#[derive(Debug, Parser)]
#[command(name = "lamina", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Examples:
  lamina cascade --changed rust
  lamina validate --check-dag
  lamina help cascade")]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// What all commands understand.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Catalog")]
pub struct GlobalArgs {
    /// The catalog's root [default: the nearest folder upwards with catalog/catalog.ncl]
    #[arg(long, global = true, value_name = "DIR", env = "LAMINA_CATALOG", hide_env_values = true)]
    catalog: Option<PathBuf>,
    /// Merge FILE over catalog/catalog.ncl; may be repeated
    #[arg(long, global = true, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// Read the digests of external images from FILE instead of lamina.lock
    #[arg(long, global = true, value_name = "FILE", env = "LAMINA_LOCK", hide_env_values = true)]
    lock: Option<PathBuf>,
    /// Neither read nor write the evaluation cache
    #[arg(long, global = true, hide_short_help = true)]
    no_cache: bool,
    /// How long the evaluation of one file may take
    #[arg(long, global = true, hide_short_help = true, value_name = "SECONDS", env = "LAMINA_EVAL_TIMEOUT", hide_env_values = true, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    eval_timeout: u32,
    /// How much memory one evaluation worker may use
    #[arg(long, global = true, hide_short_help = true, value_name = "MIB", env = "LAMINA_EVAL_MEMORY", hide_env_values = true, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(512..=1_048_576))]
    eval_memory: u32,
    /// How many evaluation workers run at the same time [default: a worker a processor]
    #[arg(long, global = true, hide_short_help = true, value_name = "N", env = "LAMINA_EVAL_WORKERS", hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    eval_workers: Option<u16>,
    /// Tell more: all reasons, and the paths that changed nothing
    #[arg(short, long, global = true)]
    verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Cascade(cascade::Args),
    Why(why::Args),
    Plan(plan::Args),
    Build(Box<build::Args>),
    Status(status::Args),
    Verify(verify::Args),
    Warm(warm::Args),
    Cache(cache::Args),
    Validate(validate::Args),
    Lock(lock::Args),
    Outdated(outdated::Args),
    Update(update::Args),
    Suggest(suggest::Args),
    New(new::Args),
    Report(report::Args),
    Replay(replay::Args),
    Runners(runners::Args),
    Crates(crates::Args),
    Explain(explain::Args),
    List(list::Args),
    Show(show::Args),
    Directives(directives::Args),
    Integrate(integrate::Args),
    Size(size::Args),
    Graph(graph::Args),
    Export(export::Args),
    Adr(adr::Args),
    Axioms(axioms::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    Help(help::Args),
}

/// Text for people, or JSON for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs; the shape is described in docs/json.md
    Json,
}

/// Runs a command line, whose first element is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if completions::answered(&args, command) {
        return Exit::Success.into();
    }
    if args.get(1).is_some_and(|arg| arg == WORKER_ARGUMENT) {
        eval::worker_main();
    }
    if args.get(1).is_some_and(|arg| arg == guard::ARGUMENT) {
        return guard::run(args.into_iter().skip(2));
    }
    let program = completions::program(args.first());
    let (cli, matches) = match parse(args) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    let ui = Ui::new(cli.global.color, cli.global.verbose);
    let (cli, overlay) = match direct(&ui, cli, &matches) {
        Ok(directed) => directed,
        Err(code) => return code,
    };
    if let Some(result) = without_catalog(&ui, &program, &cli) {
        return end(&ui, None, result);
    }
    let creates_lock = matches!(&cli.command, Command::Lock(_));
    match Context::new(&cli.global, &ui, creates_lock, overlay) {
        Ok(context) => end(&ui, Some(&context), dispatch(&context, &cli.command)),
        Err(error) => end(&ui, None, Err(error)),
    }
}

/// Reads a command line; what is wrong with it is said.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Cli, ArgMatches), ExitCode> {
    let parsed =
        command().try_get_matches_from(args).and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    parsed.map_err(|error| {
        // Help and version are answers, everything else is a wrong command line.
        let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
        let _ = error.print();
        exit.into()
    })
}

/// The command line as a caller's directives have it, and what they have merged over the catalog.
fn direct(ui: &Ui, cli: Cli, matches: &ArgMatches) -> Result<(Cli, Option<Overlay>), ExitCode> {
    let file = match &cli.command {
        Command::Build(args) => args.directives(),
        _ => None,
    };
    let Some(file) = file else { return Ok((cli, None)) };
    let context = Context::new(&cli.global, ui, false, None).map_err(|error| end(ui, None, Err(error)))?;
    let directives = context.directives(file).map_err(|error| end(ui, Some(&context), Err(error)))?;
    let mut command = command();
    command.build();
    let words = directed::command_line(&command, matches, &directives, ui);
    let (cli, _) = parse(words)?;
    Ok((cli, directed::overlay(&directives)))
}

/// Says why a command failed, if it did; returns its code.
fn end(ui: &Ui, context: Option<&Context<'_>>, result: Result<Exit, CommandError>) -> ExitCode {
    let error = match result {
        Ok(exit) => return exit.into(),
        Err(error) => error,
    };
    if let (Some((findings, snapshot)), Some(context)) = (&error.findings, context) {
        ui.findings(findings.clone(), &|file| context.text(snapshot, file));
    }
    ui.error(&error);
    let exit = error.exit;
    // Tearing down a catalog of many layers takes longer than ending the process.
    std::mem::forget(error);
    exit.into()
}

/// Runs what is the same for every catalog, and what is about a project alone where there is none.
fn without_catalog(ui: &Ui, program: &str, cli: &Cli) -> Option<Result<Exit, CommandError>> {
    match &cli.command {
        Command::Validate(args) if args.needs_no_catalog() => Some(validate::describe(ui, args)),
        Command::Explain(args) => Some(explain::run(ui, args)),
        Command::Schema(args) => Some(schema::run(ui, args)),
        Command::Completions(args) => Some(completions::run(ui, program, args)),
        Command::Man(args) => Some(man::run(ui, args)),
        Command::Help(args) => Some(help::run(ui, args)),
        Command::Crates(args) if !Context::has_catalog(&cli.global) => crates::without_catalog(ui, args),
        _ => None,
    }
}

fn dispatch(context: &Context<'_>, command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Cascade(args) => cascade::run(context, args),
        Command::Why(args) => why::run(context, args),
        Command::Plan(args) => plan::run(context, args),
        Command::Build(args) => build::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Warm(args) => warm::run(context, args),
        Command::Cache(args) => cache::run(context, args),
        Command::Validate(args) => validate::run(context, args),
        Command::Lock(args) => lock::run(context, args),
        Command::Outdated(args) => outdated::run(context, args),
        Command::Update(args) => update::run(context, args),
        Command::New(args) => new::run(context, args),
        Command::Suggest(args) => suggest::run(context, args),
        Command::Report(args) => report::run(context, args),
        Command::Replay(args) => replay::run(context, args),
        Command::Runners(args) => runners::run(context, args),
        Command::Crates(args) => crates::run(context, args),
        Command::List(args) => list::run(context, args),
        Command::Show(args) => show::run(context, args),
        Command::Directives(args) => directives::run(context, args),
        Command::Integrate(args) => integrate::run(context, args),
        Command::Size(args) => size::run(context, args),
        Command::Graph(args) => graph::run(context, args),
        Command::Export(args) => export::run(context, args),
        Command::Adr(args) => adr::run(context, args),
        Command::Axioms(args) => axioms::run(context, args),
        // These have been run without a catalog.
        Command::Explain(_) | Command::Schema(_) | Command::Completions(_) | Command::Man(_) | Command::Help(_) => {
            Ok(Exit::Success)
        }
    }
}

/// The whole command line: the exit codes stand at the end of its help, and every command's help says where.
fn command() -> clap::Command {
    let followed = |command: clap::Command, end: &str| {
        let examples = command.get_after_help().map(|help| format!("{help}\n\n")).unwrap_or_default();
        command.after_help(examples + end)
    };
    let codes = format!("Exit codes:\n{}", help::exit_codes());
    followed(Cli::command(), codes.trim_end())
        .mut_subcommands(|subcommand| followed(subcommand, "Exit codes: see `lamina help exit-codes`"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
