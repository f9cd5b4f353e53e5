//! The text of a build-graph snapshot: a line for each unit, so that a diff of two of them can be read.
//!
//! ```text
//! version 1
//! inputs 5d2c…
//! host x86_64-unknown-linux-gnu
//!
//! cook release
//! packages 224, units 290, duplicates 3
//! duplicate hashbrown 0.14.5 0.15.5
//!
//!   serde 1.0.228 lib target direct [derive std] > serde_core serde_derive
//! + serde_derive 1.0.228 macro host [default] > proc-macro2 quote syn
//! ```
//!
//! A dependency is written as Cargo.lock does it: with no more than tells it from the others. A unit or dependency
//! with `+` came since the ceilings last held.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::normal::{HOST, TARGET, place, profile};
use super::{BuildGraph, Measured, Section};
use crate::unit::{Kind, Package, Unit, UnitGraph};

/// The registry that is not written down, because nearly all packages come from it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// The source of packages in folders.
const PATH: &str = "path";
/// The most units that are read.
const MAX_UNITS: usize = 100_000;

/// Why a text is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct TextError {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// A kind, as it is written.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Lib => "lib",
        Kind::ProcMacro => "macro",
        Kind::BuildScript => "build",
        Kind::BuildScriptRun => "run",
        Kind::Bin => "bin",
        Kind::Check => "check",
    }
}

fn kind_of(text: &str) -> Option<Kind> {
    [Kind::Lib, Kind::ProcMacro, Kind::BuildScript, Kind::BuildScriptRun, Kind::Bin, Kind::Check]
        .into_iter()
        .find(|one| kind(*one) == text)
}

impl BuildGraph {
    /// The text of the file.
    pub fn text(&self, folder: &str) -> String {
        let mut text = format!(
            "# What cargo compiles for {folder}, a line a unit.\n\
             # Written by `lamina crates snapshot --write`, read by `lamina validate`. Not to be edited.\n\
             version 1\ninputs {}\nhost {}\n",
            self.inputs,
            Self::HOST
        );
        if let Some(measured) = self.measured {
            let _ = writeln!(text, "measured cpu_ms {} bytes {}", measured.cpu_ms, measured.bytes);
        }
        for section in &self.sections {
            text.push('\n');
            for cook in &section.cooks {
                let _ = writeln!(text, "cook {cook}");
            }
            section.write(&mut text);
        }
        text
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first line that is not what this version writes.
    pub fn parse(text: &str) -> Result<BuildGraph, TextError> {
        Reader::default().read(text)
    }
}

impl Section {
    fn write(&self, text: &mut String) {
        let graph = BuildGraph { sections: vec![self.clone()], ..BuildGraph::default() };
        let counts = graph.counts();
        let units = self.graph.units.len();
        let _ = writeln!(text, "packages {}, units {units}, duplicates {}", counts.packages, counts.duplicates);
        for duplicate in graph.duplicates() {
            let _ = writeln!(text, "duplicate {} {}", duplicate.name, duplicate.versions.join(" "));
        }
        text.push('\n');
        let names = short_names(&self.graph);
        for (number, unit) in self.graph.units.iter().enumerate() {
            let package = self.graph.package(unit);
            let mark = if self.new_units.contains(&number) { '+' } else { ' ' };
            let _ = write!(text, "{mark} {} {} ", package.name, package.version);
            match package.source.as_deref() {
                Some(CRATES_IO) => {}
                source => {
                    let _ = write!(text, "({}) ", source.unwrap_or(PATH));
                }
            }
            let _ = write!(text, "{} {}", kind(unit.kind), place(&self.graph, unit));
            if self.graph.roots.contains(&number) {
                text.push_str(" direct");
            }
            if !unit.features.is_empty() {
                let _ = write!(text, " [{}]", unit.features.join(" "));
            }
            if !unit.dependencies.is_empty() {
                text.push_str(" >");
            }
            for &need in &unit.dependencies {
                let mark = if self.new_edges.contains(&(number, need)) { "+" } else { "" };
                let _ = write!(text, " {mark}{}", names[need]);
            }
            text.push('\n');
        }
    }
}

/// What each unit is called as a dependency: its package's name, and as much more as tells it from the others. A
/// library and a procedural macro are the package itself; a build script says that it is one.
fn short_names(graph: &UnitGraph) -> Vec<String> {
    let kind_of = |unit: &Unit| match unit.kind {
        Kind::Lib | Kind::ProcMacro => String::new(),
        other => format!(":{}", kind(other)),
    };
    let forms: [&dyn Fn(&Unit) -> String; 3] = [
        &|unit| format!("{}{}", graph.package(unit).name, kind_of(unit)),
        &|unit| format!("{}@{}{}", graph.package(unit).name, graph.package(unit).version, kind_of(unit)),
        &|unit| {
            let package = graph.package(unit);
            format!("{}@{}{}/{}", package.name, package.version, kind_of(unit), place(graph, unit))
        },
    ];
    let mut names: Vec<Option<String>> = vec![None; graph.units.len()];
    for form in forms {
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for unit in &graph.units {
            *counted.entry(form(unit)).or_default() += 1;
        }
        for (unit, name) in graph.units.iter().zip(&mut names).filter(|(_, name)| name.is_none()) {
            *name = Some(form(unit)).filter(|name| counted[name] == 1);
        }
    }
    // What is still not told apart gets numbers, in its order.
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let named = graph.units.iter().zip(names).map(|(unit, name)| {
        name.unwrap_or_else(|| {
            let name = forms[2](unit);
            let number = seen.entry(name.clone()).or_default();
            *number += 1;
            format!("{name}#{number}")
        })
    });
    named.collect()
}

#[derive(Default)]
struct Reader {
    graph: BuildGraph,
    inputs: Option<String>,
    cooks: Vec<String>,
    rows: Vec<Row>,
}

/// A line that tells a unit.
struct Row {
    line: usize,
    is_new: bool,
    is_direct: bool,
    package: Package,
    kind: Kind,
    place: String,
    features: Vec<String>,
    needs: Vec<(bool, String)>,
}

impl Reader {
    fn read(mut self, text: &str) -> Result<BuildGraph, TextError> {
        let mut version = None;
        let mut units = 0;
        for (number, content) in text.lines().enumerate() {
            let line = number + 1;
            let error = |why: &str| TextError { line, why: why.to_owned() };
            if content.starts_with(['+', ' ']) {
                units += 1;
                if self.cooks.is_empty() || units > MAX_UNITS {
                    return Err(error("a unit has no place here"));
                }
                self.rows.push(Row::parse(line, content).map_err(|why| error(&why))?);
                continue;
            }
            let (word, rest) = content.split_once(' ').unwrap_or((content, ""));
            match word {
                "" | "#" | "packages" | "duplicate" => {}
                "version" if rest == "1" => version = Some(rest),
                "version" => return Err(error("this lamina reads version 1")),
                "inputs" => self.inputs = Some(rest.to_owned()),
                "host" if rest == BuildGraph::HOST => {}
                "host" => return Err(error("it is for another host")),
                "measured" => self.graph.measured = Some(measured(rest).ok_or_else(|| error("no measurement"))?),
                "cook" => {
                    if !self.rows.is_empty() {
                        self.close()?;
                    }
                    self.cooks.push(rest.to_owned());
                }
                _ => return Err(error("this is not what lamina writes")),
            }
        }
        self.close()?;
        let end = |why: &str| TextError { line: text.lines().count().max(1), why: why.to_owned() };
        version.ok_or_else(|| end("it does not say its version"))?;
        self.graph.inputs = self.inputs.ok_or_else(|| end("it does not say what it was computed from"))?;
        Ok(self.graph)
    }

    /// Makes a section of what was read so far.
    fn close(&mut self) -> Result<(), TextError> {
        let (cooks, rows) = (std::mem::take(&mut self.cooks), std::mem::take(&mut self.rows));
        if cooks.is_empty() {
            return Ok(());
        }
        let packages: BTreeSet<&Package> = rows.iter().map(|row| &row.package).collect();
        let packages: Vec<Package> = packages.into_iter().cloned().collect();
        let units = rows.iter().map(|row| Unit {
            package: packages.binary_search(&row.package).unwrap_or_default(),
            kind: row.kind,
            target: target(row),
            crate_types: Vec::new(),
            platform: Some(&row.place).filter(|place| ![HOST, TARGET].contains(&place.as_str())).cloned(),
            features: row.features.clone(),
            profile: usize::from(row.place == HOST),
            dependencies: Vec::new(),
            output: None,
        });
        let units = units.collect();
        let mut graph =
            UnitGraph { packages, profiles: vec![profile(TARGET), profile(HOST)], units, roots: Vec::new() };
        let names = short_names(&graph);
        let places: BTreeMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let mut section = Section { cooks, ..Section::default() };
        for (number, row) in rows.iter().enumerate() {
            for (is_new, need) in &row.needs {
                let place = places.get(need.as_str()).copied().filter(|place| *place != number);
                let place =
                    place.ok_or_else(|| TextError { line: row.line, why: format!("there is no unit `{need}`") })?;
                graph.units[number].dependencies.push(place);
                if *is_new {
                    section.new_edges.insert((number, place));
                }
            }
            graph.units[number].dependencies.sort_unstable();
            graph.units[number].dependencies.dedup();
            if row.is_new {
                section.new_units.insert(number);
            }
            if row.is_direct {
                graph.roots.push(number);
            }
        }
        if graph.order().is_none() {
            let line = rows.first().map_or(1, |row| row.line);
            return Err(TextError { line, why: "units depend on each other in a circle".to_owned() });
        }
        section.graph = graph;
        self.graph.sections.push(section);
        Ok(())
    }
}

impl Row {
    fn parse(line: usize, content: &str) -> Result<Row, String> {
        let (left, needs) = content.split_once(" > ").unwrap_or((content, ""));
        let (left, features) = match left.split_once(" [") {
            Some((left, features)) => (left, features.strip_suffix(']').ok_or("its features have no end")?),
            None => (left, ""),
        };
        let mut words = left.get(1..).unwrap_or_default().split_whitespace();
        let mut next = |what: &str| words.next().ok_or_else(|| format!("a unit without {what}"));
        let (name, version) = (next("a name")?.to_owned(), next("a version")?.to_owned());
        let mut word = next("a kind")?;
        let source = match word.strip_prefix('(').and_then(|source| source.strip_suffix(')')) {
            None => Some(CRATES_IO.to_owned()),
            Some(source) => {
                word = next("a kind")?;
                Some(source.to_owned()).filter(|source| source != PATH)
            }
        };
        let kind = kind_of(word).ok_or_else(|| format!("`{word}` is no kind of unit"))?;
        let place = next("a place")?.to_owned();
        let is_direct = match words.next() {
            None => false,
            Some("direct") => true,
            Some(other) => return Err(format!("`{other}` is not expected here")),
        };
        let needs = needs.split_whitespace().map(|need| match need.strip_prefix('+') {
            Some(need) => (true, need.to_owned()),
            None => (false, need.to_owned()),
        });
        Ok(Row {
            line,
            is_new: content.starts_with('+'),
            is_direct,
            package: Package { name, version, source },
            kind,
            place,
            features: features.split_whitespace().map(str::to_owned).collect(),
            needs: needs.collect(),
        })
    }
}

/// The target's name is not written down; nothing that is asked of a snapshot needs more than the package's.
fn target(row: &Row) -> String {
    super::normal::target(&row.package, row.kind)
}

fn measured(text: &str) -> Option<Measured> {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["cpu_ms", cpu_ms, "bytes", bytes] => {
            Some(Measured { cpu_ms: cpu_ms.parse().ok()?, bytes: bytes.parse().ok()? })
        }
        _ => None,
    }
}
