//! The JSON Schemas of the answers, made from the types that are written.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::align::Align;
use super::build::{Build, Report, ReportList};
use super::cache::{CacheExplain, CacheList, CachePrune};
use super::cascade::Cascade;
use super::confirm::Confirm;
use super::crates::{CratesAlign, CratesCone, CratesDiff, CratesOutdated, CratesSnapshot};
use super::decisions::{Adrs, Axioms};
use super::directives::Directives;
use super::findings::{Explain, Validate, ValidateExplain, ValidateList};
use super::fleet::Fleet;
use super::graph::Graph;
use super::integrate::Integrate;
use super::layers::{List, Show};
use super::new::Written;
use super::pins::{Lock, Outdated};
use super::plan::Plan;
use super::runners::{Runners, RunnersPrune};
use super::size::Sizes;
use super::status::Status;
use super::suggest::Suggest;
use super::units::Units;
use super::update::Update;
use super::verify::Verify;
use super::warm::{Warm, WarmPush};
use super::why::Why;
use super::{Answer, VERSION};
use crate::notify;
use crate::report::pipeline::github::Matrices;
use crate::run::delivered::SecretContext;
use crate::run::hooks::{HookAnswer, HookInput};
use crate::unit::Manifest;

/// All answers, by the name of their schema.
pub static SHAPES: &[Shape] = &[
    Shape::of::<Adrs<'_>>(),
    Shape::of::<Axioms<'_>>(),
    Shape::of::<Build<'_>>(),
    Shape::of::<CacheExplain>(),
    Shape::of::<CacheList>(),
    Shape::of::<CachePrune>(),
    Shape::of::<Cascade<'_>>(),
    Shape::foreign::<Matrices>("cascade-github-matrix"),
    Shape::of::<CratesAlign<'_>>(),
    Shape::of::<CratesCone<'_>>(),
    Shape::of::<CratesDiff<'_>>(),
    Shape::of::<CratesOutdated<'_>>(),
    Shape::of::<CratesSnapshot<'_>>(),
    Shape::of::<Directives<'_>>(),
    Shape::foreign::<notify::Message>("event"),
    Shape::of::<Explain>(),
    Shape::of::<Graph<'_>>(),
    Shape::foreign::<HookAnswer>("hook-answer"),
    Shape::foreign::<HookInput>("hook-input"),
    Shape::of::<Integrate<'_>>(),
    Shape::of::<List<'_>>(),
    Shape::of::<Lock<'_>>(),
    Shape::of::<Written<'_>>(),
    Shape::of::<Outdated<'_>>(),
    Shape::of::<Plan<'_>>(),
    Shape::of::<Report<'_>>(),
    Shape::of::<ReportList<'_>>(),
    Shape::of::<Runners<'_>>(),
    Shape::of::<RunnersPrune<'_>>(),
    Shape::of::<Schemas>(),
    Shape::foreign::<SecretContext>("secret-context"),
    Shape::of::<Show<'_>>(),
    Shape::of::<Sizes<'_>>(),
    Shape::of::<Units<'_>>(),
    Shape::of::<Status<'_>>(),
    Shape::of::<Suggest<'_>>(),
    Shape::of::<Align<'_>>(),
    Shape::of::<Fleet<'_>>(),
    Shape::of::<Confirm<'_>>(),
    Shape::foreign::<Manifest>("units"),
    Shape::of::<Update<'_>>(),
    Shape::of::<Validate<'_>>(),
    Shape::of::<ValidateExplain>(),
    Shape::of::<ValidateList>(),
    Shape::of::<Verify<'_>>(),
    Shape::of::<Warm<'_>>(),
    Shape::of::<WarmPush<'_>>(),
    Shape::of::<Why<'_>>(),
];

/// The shape of an answer.
#[derive(Debug)]
pub struct Shape {
    /// The name of its schema.
    pub name: &'static str,
    schema: fn(&str) -> Map<String, Value>,
}

impl Shape {
    /// The shape of an answer.
    pub const fn of<A: Answer>() -> Self {
        Self { name: A::NAME, schema: with_head::<A> }
    }

    /// A shape that another program asks for, without the two fields that all other answers begin with.
    pub const fn foreign<T: JsonSchema>(name: &'static str) -> Self {
        Self { name, schema: schema::<T> }
    }

    /// The shape of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SHAPES.iter().find(|shape| shape.name == name)
    }

    /// Its JSON Schema, of draft 2020-12.
    pub fn schema(&self) -> Value {
        (self.schema)(self.name).into()
    }

    /// What identifies the schema: `urn:lamina:json:v1:cascade`.
    pub fn id(&self) -> String {
        id(self.name)
    }

    /// What it describes, in a line.
    pub fn summary(&self) -> String {
        let schema = (self.schema)(self.name);
        schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

fn id(name: &str) -> String {
    format!("urn:lamina:json:v{VERSION}:{name}")
}

/// The schema of a type, with what identifies it before all the rest.
fn schema<T: JsonSchema>(name: &str) -> Map<String, Value> {
    let simplified = RecursiveTransform(|schema: &mut Schema| {
        // The names that Rust gives to the sizes of numbers are no formats that validators know.
        schema.remove("format");
        // Fields are added at any time.
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            schema.remove("additionalProperties");
        }
    });
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(simplified);
    let mut own = settings.into_generator().into_root_schema_for::<T>();
    own.insert("$id".to_owned(), id(name).into());
    own.insert("title".to_owned(), format!("lamina's JSON answer {name}, version {VERSION}").into());
    let first = ["$schema", "$id", "title", "description", "type"];
    let mut schema: Map<String, Value> =
        first.iter().filter_map(|keyword| Some(((*keyword).to_owned(), own.remove(*keyword)?))).collect();
    schema.extend(own.as_object().cloned().unwrap_or_default());
    schema
}

/// The schema of an answer, with the two fields that all begin with.
fn with_head<A: Answer>(name: &str) -> Map<String, Value> {
    let mut schema = schema::<A>(name);
    let mut properties = json!({
        "version": { "type": "integer", "const": VERSION, "description": "The version of the answers." },
        "command": { "type": "string", "const": A::COMMAND, "description": "The command that was run." },
    });
    let mut required = json!(["version", "command"]);
    if let (Some(all), Some(Value::Object(own))) = (properties.as_object_mut(), schema.get("properties").cloned()) {
        all.extend(own);
    }
    if let (Some(all), Some(Value::Array(own))) = (required.as_array_mut(), schema.get("required").cloned()) {
        all.extend(own);
    }
    // A map keeps the places of members that are replaced.
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), required);
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
