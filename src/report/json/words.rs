//! Words and small objects that several answers share.

use schemars::JsonSchema;
use serde::Serialize;

use crate::diag;
use crate::model::{self, EdgeKind, LayerName};

/// In which role one layer, or an external image, goes into another.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Edge {
    /// The build starts from it.
    Build,
    /// The finished image stands on it.
    Runtime,
    /// The Dockerfile copies from it.
    Donor,
}

impl From<EdgeKind> for Edge {
    fn from(kind: EdgeKind) -> Self {
        match kind {
            EdgeKind::Build => Edge::Build,
            EdgeKind::Runtime => Edge::Runtime,
            EdgeKind::Donor => Edge::Donor,
        }
    }
}

/// A layer's class.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Class {
    /// Programs.
    Toolchain,
    /// Compiled crates.
    SourceDep,
    /// C libraries, then compiled crates.
    NativeDep,
}

impl From<model::Class> for Class {
    fn from(class: model::Class) -> Self {
        match class {
            model::Class::Toolchain => Class::Toolchain,
            model::Class::SourceDep => Class::SourceDep,
            model::Class::NativeDep => Class::NativeDep,
        }
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// Something to know; changes no exit code.
    Note,
    /// Worth mending; changes no exit code.
    Warning,
    /// The catalog is invalid.
    Error,
}

impl From<diag::Severity> for Severity {
    fn from(severity: diag::Severity) -> Self {
        match severity {
            diag::Severity::Note => Severity::Note,
            diag::Severity::Warning => Severity::Warning,
            diag::Severity::Error => Severity::Error,
        }
    }
}

/// A layer with the role of one of the two for the other.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Link<'a> {
    /// The layer.
    layer: &'a str,
    /// The role.
    edge: Edge,
}

impl<'a> Link<'a> {
    pub fn new(layer: &'a LayerName, edge: EdgeKind) -> Self {
        Self { layer: layer.as_str(), edge: edge.into() }
    }
}

/// A layer of the catalog, or an external image.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Base<'a> {
    /// The layer's name.
    Layer(&'a str),
    /// The image's name.
    Image(String),
}

impl<'a> Base<'a> {
    /// With the short name of an image, as the catalog writes it.
    pub fn familiar(base: &'a model::Base) -> Self {
        match base {
            model::Base::Layer(name) => Base::Layer(name.as_str()),
            model::Base::Image(image) => Base::Image(image.familiar()),
        }
    }
}

/// Names by wave: what can be built at the same time.
pub(super) fn waves<'a>(waves: &[Vec<&'a LayerName>]) -> Vec<Vec<&'a str>> {
    waves.iter().map(|wave| wave.iter().map(|name| name.as_str()).collect()).collect()
}
