//! The catalog as it is written: discovery, evaluation, cache, and from raw records to the model.
//! The only room that knows Nickel. Start reading at [`load`].

mod cache;
mod convert;
mod directives;
pub mod eval;
mod load;
pub mod raw;
mod spans;

use std::path::{Path, PathBuf};

pub use cache::Cache;
pub use directives::{directives, place as directives_place};
pub use load::{Loaded, LoadedAdr, LoadedLayer, Options, load};
pub use spans::Spans;

/// The file that marks a catalog's root.
pub const CATALOG_FILE: &str = "catalog/catalog.ncl";
/// The axioms.
pub const AXIOMS_FILE: &str = "catalog/axioms.ncl";
/// The folder of the layers.
pub const LAYERS: &str = "layers";
/// The folder of the decisions.
pub const ADRS: &str = "adrs";
/// The folder of the contracts.
pub const SCHEMAS: &str = "schemas";
/// The folder of the JSON Schemas of lamina's answers, which have nothing to do with layers.
pub const JSON_SCHEMAS: &str = "schemas/json";
/// What a build context says of the size of its build; no part of it.
pub const BUILD_SPEC: &str = ".build-spec.ncl";
/// The contract of [`BUILD_SPEC`].
pub const BUILD_SPEC_SCHEMA: &str = "schemas/build_spec.ncl";
/// A layer's description, in its folder.
pub const WORKFLOW: &str = "workflow.ncl";

/// The nearest folder, from `start` upwards, that holds a catalog.
pub fn discover(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(CATALOG_FILE).is_file()).map(Path::to_owned)
}
