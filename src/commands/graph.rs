use clap::ValueEnum;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::report::drawing::{self, Drawing};
use crate::report::{graph, json};

/// Draw the graph of layers
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina graph
  lamina graph --format svg > catalog.svg
  lamina graph --format dot | dot -Tpdf > catalog.pdf")]
pub struct Args {
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: GraphFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// A tree for people
    #[default]
    Tree,
    /// Graphviz
    Dot,
    /// Mermaid, as GitHub and GitLab draw it
    Mermaid,
    /// A picture
    Svg,
    /// For programs; the shape is described in docs/json.md
    Json,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let answer = match args.format {
        GraphFormat::Tree => graph::tree(&snapshot),
        GraphFormat::Dot => drawing::dot(&Drawing::whole(&snapshot)),
        GraphFormat::Mermaid => {
            let drawing = Drawing::whole(&snapshot);
            let mermaid = drawing::mermaid(&drawing);
            drawing::beyond_limits(&drawing, &mermaid).iter().for_each(|remark| context.ui.remark(remark));
            mermaid
        }
        GraphFormat::Svg => drawing::svg(&Drawing::whole(&snapshot)),
        GraphFormat::Json => json::answer(json::graph::Graph::new(&snapshot)),
    };
    context.ui.answer(&answer)?;
    Ok(Exit::Success)
}
