//! Manual pages, from the definitions that the help comes from.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::error::CommandError;
use super::exit::Exit;
use super::ui::Ui;

/// Print a page of the manual, or write them all
///
/// Pages are in roff, as man(1) reads it: `lamina man cascade | man -l -` shows one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina man
  lamina man cascade | man -l -
  lamina man --out man1")]
pub struct Args {
    /// The command; lamina itself where it is absent
    command: Option<String>,
    /// Write all pages into a folder, which is made where it does not exist
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

/// What besides options and the catalog has a say. An option's variable is told with the option.
const VARIABLES: &[(&str, &str)] = &[
    ("NO_COLOR", "Where it is set and not empty, nothing is coloured unless --color=always asks for it."),
    ("TERM", "Where it is `dumb`, nothing is coloured unless --color=always asks for it."),
    ("XDG_CACHE_HOME", "The folder of caches; ~/.cache where it is not set."),
];

const FILES: &[(&str, &str)] = &[
    ("catalog/catalog.ncl", "What holds for all layers; marks the catalog's root."),
    ("layers/LAYER/workflow.ncl", "What a layer is; beside it, its Dockerfile and build context."),
    ("schemas/*.ncl", "The contracts of these files, with documentation on every field."),
    ("adrs/*.ncl, catalog/axioms.ncl", "Architecture decisions, and what the catalog takes for granted."),
    ("lamina.lock", "The digests of external images."),
    ("$XDG_CACHE_HOME/lamina", "The evaluation cache. It can be removed at any time."),
];

pub fn run(ui: &Ui, args: &Args) -> Result<Exit, CommandError> {
    let root = root();
    if let Some(folder) = &args.out {
        let failed = |path: &PathBuf| {
            let message = format!("{} can't be written", path.display());
            move |error: io::Error| CommandError::failure(message, error)
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            let path = folder.join(format!("{}.1", name(command)));
            fs::write(&path, page(&root, command)?).map_err(failed(&path))?;
            ui.answer(&format!("{}\n", path.display()))?;
        }
        return Ok(Exit::Success);
    }
    let command = match &args.command {
        None => &root,
        Some(wanted) => root.find_subcommand(wanted).ok_or_else(|| {
            let names: Vec<&str> = root.get_subcommands().map(clap::Command::get_name).collect();
            CommandError::unknown("command", wanted, names.into_iter())
        })?,
    };
    ui.answer(&page(&root, command)?)?;
    Ok(Exit::Success)
}

/// The commands that have a page, with what they are about.
pub fn pages() -> Vec<(String, String)> {
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    super::command().get_subcommands().map(|command| (command.get_name().to_owned(), about(command))).collect()
}

/// The whole command line, with the names and options that parsing gives it.
fn root() -> clap::Command {
    // What the short help leaves out the library leaves without a text.
    let mut root = super::command().mut_args(|arg| arg.hide_short_help(false));
    root.build();
    root
}

/// `lamina-cascade`, as the page is called.
fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(root: &clap::Command, command: &clap::Command) -> Result<String, CommandError> {
    // Written to memory, which does not fail.
    written(root, command).map_err(|error| CommandError::failure("the page can't be written", error))
}

fn written(root: &clap::Command, command: &clap::Command) -> io::Result<String> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::ALL {
        entry(&mut roff, bold(exit.code().to_string()), meaning);
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for argument in root.get_arguments() {
        if let (Some(variable), Some(long)) = (argument.get_env(), argument.get_long()) {
            entry(&mut roff, bold(variable.to_string_lossy()), &format!("As --{long}, which overrides it."));
        }
    }
    VARIABLES.iter().for_each(|(variable, meaning)| entry(&mut roff, bold(*variable), meaning));
    roff.control("SH", ["FILES"]);
    FILES.iter().for_each(|(file, meaning)| entry(&mut roff, italic(*file), meaning));
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for example in examples(command) {
        roff.text([roman(example)]);
    }
    roff.control("fi", []);
    roff.control("SH", ["SEE ALSO"]);
    roff.text(see_also(root, command));
    roff.to_writer(&mut page)?;
    Ok(titled(&name(command).to_uppercase(), &String::from_utf8_lossy(&page)))
}

/// The page with its title, in a form that mandoc(1) finds nothing wrong with.
///
/// The library loses an empty date, which would make the version the date, begins each section with the preamble of a
/// page, and writes a blank line as three.
fn titled(title: &str, sections: &str) -> String {
    let preamble: String =
        sections.lines().take_while(|line| !line.starts_with(".SH")).map(|line| format!("{line}\n")).collect();
    let sections = sections.replace(&preamble, "").replace(".br\n\n.br\n", ".sp\n");
    format!("{preamble}.TH {title} 1 \"\" \"lamina {}\" \"lamina\"\n{sections}", env!("CARGO_PKG_VERSION"))
}

fn entry(roff: &mut Roff, head: Inline, text: &str) {
    roff.control("TP", []);
    roff.text([head]);
    roff.text([roman(text)]);
}

/// As the help says it: the library's own one does not tell what values are called.
fn synopsis(command: &clap::Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let called = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(called), roman(usage.strip_prefix(called).unwrap_or(usage))]);
    roff
}

/// The examples at the end of a command's help.
fn examples(command: &clap::Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| !line.is_empty());
    lines.map(|line| line.trim_start().to_owned()).collect()
}

fn see_also(root: &clap::Command, command: &clap::Command) -> Vec<Inline> {
    let mut pages = vec![("git", "1")];
    if command.get_name() == root.get_name() {
        pages.splice(0..0, root.get_subcommands().map(|command| (name(command), "1")));
    } else {
        pages.insert(0, (name(root), "1"));
    }
    let mut text = Vec::new();
    for (number, (page, section)) in pages.into_iter().enumerate() {
        if number > 0 {
            text.push(roman(", "));
        }
        text.extend([bold(page), roman(format!("({section})"))]);
    }
    text
}
