//! The JSON Schemas of the answers, made from the types that are written.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::cascade::Cascade;
use super::decisions::{Adrs, Axioms};
use super::findings::{Validate, ValidateExplain, ValidateList};
use super::graph::Graph;
use super::layers::{List, Show};
use super::pins::{Lock, Outdated};
use super::update::Update;
use super::why::Why;
use super::{Answer, VERSION};

/// All answers, by the name of their schema.
pub static SHAPES: &[Shape] = &[
    Shape::of::<Adrs<'_>>(),
    Shape::of::<Axioms<'_>>(),
    Shape::of::<Cascade<'_>>(),
    Shape::of::<Graph<'_>>(),
    Shape::of::<List<'_>>(),
    Shape::of::<Lock<'_>>(),
    Shape::of::<Outdated<'_>>(),
    Shape::of::<Schemas>(),
    Shape::of::<Show<'_>>(),
    Shape::of::<Update<'_>>(),
    Shape::of::<Validate<'_>>(),
    Shape::of::<ValidateExplain>(),
    Shape::of::<ValidateList>(),
    Shape::of::<Why<'_>>(),
];

/// The shape of an answer.
#[derive(Debug)]
pub struct Shape {
    /// The name of its schema.
    pub name: &'static str,
    schema: fn() -> Schema,
}

impl Shape {
    const fn of<A: Answer>() -> Self {
        Self { name: A::NAME, schema: schema::<A> }
    }

    /// The shape of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SHAPES.iter().find(|shape| shape.name == name)
    }

    /// Its JSON Schema, of draft 2020-12.
    pub fn schema(&self) -> Value {
        (self.schema)().to_value()
    }

    /// What identifies the schema: `urn:lamina:json:v1:cascade`.
    pub fn id(&self) -> String {
        id(self.name)
    }

    /// What it describes, in a line.
    pub fn summary(&self) -> String {
        let schema = (self.schema)();
        schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

fn id(name: &str) -> String {
    format!("urn:lamina:json:v{VERSION}:{name}")
}

/// The schema of an answer with the two fields that all begin with.
fn schema<A: Answer>() -> Schema {
    // The names that Rust gives to the sizes of numbers are no formats that validators know.
    let without_format = RecursiveTransform(|schema: &mut Schema| drop(schema.remove("format")));
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(without_format);
    let mut schema = settings.into_generator().into_root_schema_for::<A>();
    let mut properties = Map::new();
    let version = json!({ "description": "The version of the answers.", "type": "integer", "const": VERSION });
    properties.insert("version".to_owned(), version);
    let command = json!({ "description": "The command that was run.", "type": "string", "const": A::COMMAND });
    properties.insert("command".to_owned(), command);
    let mut required: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
    if let Some(Value::Object(own)) = schema.remove("properties") {
        properties.extend(own);
    }
    if let Some(Value::Array(own)) = schema.remove("required") {
        required.extend(own);
    }
    let definitions = schema.remove("$defs");
    schema.insert("$id".to_owned(), id(A::NAME).into());
    schema.insert("title".to_owned(), format!("lamina's JSON answer {}, version {VERSION}", A::NAME).into());
    schema.insert("properties".to_owned(), properties.into());
    schema.insert("required".to_owned(), required.into());
    if let Some(definitions) = definitions {
        schema.insert("$defs".to_owned(), definitions);
    }
    schema
}

/// The JSON Schemas of the answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Schemas {
    /// The schemas by name.
    schemas: Vec<Named>,
}

/// The schema of an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Schema")]
struct Named {
    /// Its name, as `lamina schema` takes it.
    schema: &'static str,
    /// What identifies it: its `$id`.
    id: String,
    /// What it describes, in a line.
    summary: String,
}

impl Answer for Schemas {
    const NAME: &'static str = "schema";
}

impl Schemas {
    /// All schemas.
    pub fn all() -> Self {
        let named = |shape: &Shape| Named { schema: shape.name, id: shape.id(), summary: shape.summary() };
        Self { schemas: SHAPES.iter().map(named).collect() }
    }
}
