//! Layers: what a `workflow.ncl` says, with every text parsed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Cooked, ImageRef, LayerName, Platform, RelPath};

/// A layer's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Programs.
    Toolchain,
    /// Compiled crates.
    SourceDep,
    /// C libraries, then compiled crates.
    NativeDep,
}

/// When a native dependency is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needed {
    /// While crates compile.
    Build,
    /// Beside the finished program.
    Run,
    /// At either time.
    Both,
}

/// Where a native dependency comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NativeSource {
    /// Debian's archive.
    Apt,
    /// The sources in a crate.
    Vendored,
}

/// A layer of the catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name: its folder's, and its image's.
    pub name: LayerName,
    /// Its class.
    pub class: Class,
    /// One line about it.
    pub summary: String,
    /// Markdown for those who use it.
    pub docs: Option<String>,
    /// What its build starts from.
    pub build_base: Base,
    /// What its finished image stands on.
    pub runtime_base: Base,
    /// What its Dockerfile copies from besides.
    pub donors: Vec<Donor>,
    /// The C libraries it needs.
    pub native_deps: Vec<NativeDep>,
    /// The programs it adds.
    pub tools: Vec<Tool>,
    /// What consumers copy from its image.
    pub artifacts: Vec<Artifact>,
    /// The dependency set it compiles.
    pub cooked: Option<Cooked>,
    /// The tags for people that its image gets when it is promoted: `1.97.1`, `latest`. Not an input.
    pub tags: Vec<String>,
    /// How its image is built.
    pub build: Build,
    /// Commands beside its build.
    pub hooks: Hooks,
}

/// Where a stage starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Base {
    /// A layer of this catalog.
    Layer(LayerName),
    /// An external image.
    Image(ImageRef),
}

/// A layer or an image that a Dockerfile copies from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Donor {
    /// Where it copies from.
    pub base: Base,
    /// The build argument that the Dockerfile takes it by.
    pub arg: String,
}

/// In which role one layer, or an external image, goes into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeKind {
    /// The build starts from it.
    Build,
    /// The finished image stands on it.
    Runtime,
    /// The Dockerfile copies from it.
    Donor,
}

/// A layer's dependency, with its role and the build argument it is passed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge<'a> {
    /// The role.
    pub kind: EdgeKind,
    /// What the layer depends on.
    pub base: &'a Base,
    /// The build argument.
    pub arg: &'a str,
    /// Of a donor, its place among them.
    donor: usize,
}

/// A C library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NativeDep {
    /// The package's name.
    pub package: String,
    /// The pkg-config name or the library's file name.
    pub library: String,
    /// When it is needed.
    pub needed: Needed,
    /// Where it comes from.
    pub source: NativeSource,
}

/// A program with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The program's name on PATH.
    pub name: String,
    /// The command that proves that it works: program and arguments.
    pub probe: Vec<String>,
    /// A text that the probe's output has to hold.
    pub version: Option<String>,
}

/// A path that consumers copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Where it lies in the image.
    pub path: String,
    /// What a consumer does with it.
    pub description: Option<String>,
}

/// How an image is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// The Dockerfile.
    pub dockerfile: RelPath,
    /// The build context's folder.
    pub context: RelPath,
    /// The stage that becomes the image; the last one where it is absent.
    pub target: Option<String>,
    /// Build arguments by name.
    pub args: BTreeMap<String, String>,
    /// Folders of the catalog that the Dockerfile copies from besides the build context, by name.
    pub contexts: BTreeMap<String, RelPath>,
    /// The secrets that the Dockerfile mounts.
    pub secrets: Vec<Secret>,
    /// The ids of the SSH agents that the Dockerfile mounts.
    pub ssh: Vec<String>,
    /// Which network its steps have.
    pub network: Network,
    /// Labels of the image, besides those that lamina gives it.
    pub labels: BTreeMap<String, String>,
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// The platforms it is built for.
    pub platforms: Vec<Platform>,
    /// What a build needs.
    pub resources: Resources,
    /// The knob that has the layer rebuilt.
    pub cache_version: u64,
}

/// Which network the steps of a build have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// The engine's.
    #[default]
    Default,
    /// None.
    None,
    /// That of the engine's machine.
    Host,
}

/// A BuildKit secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The id that the Dockerfile mounts it by.
    pub id: String,
    /// Whether the build fails without it.
    pub required: bool,
    /// What it is for.
    pub purpose: Option<String>,
}

/// What one build needs, as far as the layer says it; `size` knows the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cpu: Option<u64>,
    /// Memory, in MiB.
    pub memory_mb: Option<u64>,
    /// Disk, in MiB.
    pub disk_mb: u64,
    /// Minutes after which a build is ended.
    pub time_budget_min: Option<u64>,
    /// Minutes that one build takes as a rule, on a machine of this size.
    pub expected_min: Option<u64>,
}

impl Resources {
    /// Processors where a layer says nothing, and nothing else is known of it.
    pub const CPU: u64 = 2;
    /// Memory in MiB, likewise.
    pub const MEMORY_MB: u64 = 4096;
    /// Minutes, likewise.
    pub const MINUTES: u64 = 30;

    /// Processors, MiB of memory and minutes, for those who look at nothing but the layer.
    pub fn declared_or_common(self) -> (u64, u64, u64) {
        (
            self.cpu.unwrap_or(Self::CPU),
            self.memory_mb.unwrap_or(Self::MEMORY_MB),
            self.time_budget_min.unwrap_or(Self::MINUTES),
        )
    }
}

/// What `.build-spec.ncl` in a build context says of its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildSpec {
    /// The file, relative to the catalog's root.
    pub file: RelPath,
    /// Processors.
    pub cpu: Option<u64>,
    /// Memory, in MiB.
    pub memory_mb: Option<u64>,
    /// Minutes after which a build is ended.
    pub time_budget_min: Option<u64>,
}

/// Commands beside a build, on the machine that runs lamina.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Run before the build context is sent.
    pub pre_build: Vec<Hook>,
    /// Run after a successful build.
    pub post_build: Vec<Hook>,
    /// Run before tags for people move to the image.
    pub pre_promote: Vec<Hook>,
}

/// A command beside a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Seconds until it is killed.
    pub timeout_s: u64,
    /// The variables of lamina's environment that it gets besides PATH, HOME and LANG.
    pub env: Vec<String>,
    /// Whether it answers in JSON on stdout. A plain command, which older schemas have, is judged by its exit code alone,
    /// and what it writes there is output.
    pub answers: bool,
}

impl Hook {
    /// The time of a hook that says none.
    pub const TIMEOUT_S: u64 = 60;

    /// A plain command. It has the time of its build.
    pub fn plain(command: Vec<String>) -> Self {
        Self { command, timeout_s: 24 * 3600, env: Vec::new(), answers: false }
    }
}

impl Layer {
    /// All that it depends on: build base, runtime base, donors, in this order.
    pub fn edges(&self) -> impl Iterator<Item = Edge<'_>> {
        let bases = [
            Edge { kind: EdgeKind::Build, base: &self.build_base, arg: "BUILD_BASE", donor: 0 },
            Edge { kind: EdgeKind::Runtime, base: &self.runtime_base, arg: "RUNTIME_BASE", donor: 0 },
        ];
        let donors = self.donors.iter().enumerate();
        let donors = donors.map(|(donor, d)| Edge { kind: EdgeKind::Donor, base: &d.base, arg: &d.arg, donor });
        bases.into_iter().chain(donors)
    }

    /// The external images that it depends on directly, with their roles.
    pub fn images(&self) -> impl Iterator<Item = (EdgeKind, &ImageRef)> {
        self.edges().filter_map(|edge| match edge.base {
            Base::Image(image) => Some((edge.kind, image)),
            Base::Layer(_) => None,
        })
    }
}

impl Edge<'_> {
    /// The field that declares it: `donors[1]`.
    pub fn field(&self) -> String {
        match self.kind {
            EdgeKind::Build => "build_base".to_owned(),
            EdgeKind::Runtime => "runtime_base".to_owned(),
            EdgeKind::Donor => format!("donors[{}]", self.donor),
        }
    }
}

impl Donor {
    /// The argument of a donor that does not name one: `DONOR_` and its name in capitals.
    pub fn default_arg(base: &Base) -> String {
        let name = match base {
            Base::Layer(layer) => layer.as_str(),
            Base::Image(image) => image.short_name(),
        };
        format!("DONOR_{}", name.to_ascii_uppercase().replace(['-', '.'], "_"))
    }
}

impl Base {
    /// The layer, where it is one.
    pub fn as_layer(&self) -> Option<&LayerName> {
        match self {
            Base::Layer(layer) => Some(layer),
            Base::Image(_) => None,
        }
    }

    /// The external image, where it is one.
    pub fn as_image(&self) -> Option<&ImageRef> {
        match self {
            Base::Image(image) => Some(image),
            Base::Layer(_) => None,
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base::Layer(layer) => layer.fmt(f),
            Base::Image(image) => f.write_str(&image.familiar()),
        }
    }
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 3] = [Class::Toolchain, Class::SourceDep, Class::NativeDep];

    /// As the catalog writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Toolchain => "toolchain",
            Class::SourceDep => "source-dep",
            Class::NativeDep => "native-dep",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The variable that holds the value of a secret where nothing else is said: `LAMINA_SECRET_` and its id in capitals,
/// with `_` for all that is no letter or digit.
pub fn secret_variable(id: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("LAMINA_SECRET_{}", id.chars().map(word).collect::<String>())
}

impl Secret {
    /// The variable that holds its value where nothing else is said ([`secret_variable`]).
    pub fn variable(&self) -> String {
        secret_variable(&self.id)
    }
}

impl Network {
    /// As the catalog and BuildKit write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Network::Default => "default",
            Network::None => "none",
            Network::Host => "host",
        }
    }
}

impl EdgeKind {
    /// As JSON and findings write it.
    pub fn as_str(self) -> &'static str {
        match self {
            EdgeKind::Build => "build",
            EdgeKind::Runtime => "runtime",
            EdgeKind::Donor => "donor",
        }
    }
}

impl fmt::Display for EdgeKind {
    /// As people read it: `build base`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EdgeKind::Build => "build base",
            EdgeKind::Runtime => "runtime base",
            EdgeKind::Donor => "donor",
        })
    }
}

impl Needed {
    /// Whether it is needed beside the finished program.
    pub fn at_run_time(self) -> bool {
        matches!(self, Needed::Run | Needed::Both)
    }

    /// As the catalog writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Needed::Build => "build",
            Needed::Run => "run",
            Needed::Both => "both",
        }
    }
}

impl NativeSource {
    /// As the catalog writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            NativeSource::Apt => "apt",
            NativeSource::Vendored => "vendored",
        }
    }
}
