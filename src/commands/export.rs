use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use super::selection::SelectionArgs;
use crate::model::{EdgeKind, LayerName};
use crate::report::pipeline::bake;
use crate::report::{count, pins};

/// Write the catalog down for another tool
///
/// The tool builds the same graph: the same Dockerfiles and arguments, parents before children, images under the tags
/// of their fingerprints. What lamina does besides is left out: images that are there already, proofs, promotion.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina export bake --out docker-bake.json
  lamina export bake leptos nickel > docker-bake.json
  lamina export bake --only class=toolchain")]
pub struct Args {
    /// The tool
    #[arg(value_enum, value_name = "TOOL")]
    tool: Tool,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Write into FILE instead of to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// A file in JSON for `docker buildx bake`, to be used in the catalog's root
    Bake,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let (snapshot, selected) = args.selection.select_or_all(context)?;
    let selected: BTreeSet<&LayerName> = selected.layers.iter().collect();
    let kinds = [EdgeKind::Build, EdgeKind::Runtime, EdgeKind::Donor];
    let mut all = selected.clone();
    all.extend(selected.iter().flat_map(|name| snapshot.graph.ancestors(name, &kinds)));
    let answer = match args.tool {
        Tool::Bake => bake::json(&snapshot, &selected, &all),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(findings) => {
            let mut error = CommandError::new(Exit::Invalid, "the catalog's layers can't be built");
            error.findings = Some((findings, Box::new(snapshot)));
            return Err(error);
        }
    };
    pins::unlocked(&snapshot).for_each(|remark| context.ui.remark(&remark));
    match &args.out {
        None => context.ui.answer(&answer)?,
        Some(file) => {
            fs::write(file, &answer)
                .map_err(|error| CommandError::failure(format!("{} can't be written", file.display()), error))?;
            let more = match all.len() - selected.len() {
                0 => String::new(),
                more => {
                    format!(", with {more} that {} on", if selected.len() == 1 { "it depends" } else { "they depend" })
                }
            };
            context.ui.remark(&format!("{}: {}{more}", file.display(), count(selected.len(), "layer")));
        }
    }
    Ok(Exit::Success)
}
