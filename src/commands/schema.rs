use super::Format;
use super::error::CommandError;
use super::exit::Exit;
use super::ui::Ui;
use crate::report::json::schema::Schemas;
use crate::report::json::{self, SHAPES, Shape};
use crate::report::table;

/// Print the JSON Schema of an answer, or list the schemas
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina schema
  lamina schema cascade > cascade.schema.json")]
pub struct Args {
    /// The answer; without it the schemas are listed
    answer: Option<String>,
    /// How the list looks; a schema is always JSON
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Needs no catalog.
pub fn run(ui: &Ui, args: &Args) -> Result<Exit, CommandError> {
    let answer = match (&args.answer, args.format) {
        (Some(name), _) => {
            let names = SHAPES.iter().map(|shape| shape.name);
            let shape = Shape::find(name).ok_or_else(|| CommandError::unknown("schema", name, names))?;
            json::to_text(&shape.schema())
        }
        (None, Format::Text) => {
            table(&SHAPES.iter().map(|shape| [shape.name.to_owned(), shape.summary()]).collect::<Vec<_>>())
        }
        (None, Format::Json) => json::answer(Schemas::all()),
    };
    ui.answer(&answer)?;
    Ok(Exit::Success)
}
