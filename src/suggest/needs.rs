//! What a project needs besides crates: programs while it is built, and C libraries.

use std::collections::{BTreeMap, BTreeSet};

use super::bound::Packages;

/// What a project shows of itself, besides its crates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Members of the workspace that are compiled to a `cdylib`.
    pub cdylibs: BTreeSet<String>,
    /// The targets that it is compiled for, as far as it says: of the toolchain file, of cargo's configuration, of the
    /// command line.
    pub targets: BTreeSet<String>,
    /// Where `[package.metadata.leptos]` or `[[workspace.metadata.leptos]]` stands.
    pub leptos: Option<String>,
    /// Its files by extension, of those that are looked for: how many there are, and one of them.
    pub files: BTreeMap<&'static str, (usize, String)>,
}

/// A program that a project needs while it is built.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolNeed {
    /// The program.
    pub tool: &'static str,
    /// What shows it.
    pub because: String,
    /// The version that it must have, where that is known.
    pub version: Option<String>,
}

/// A C library that a crate of the project links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LibraryNeed {
    /// The library, as `links` names it.
    pub library: String,
    /// The crate.
    pub package: String,
    /// Its version.
    pub version: String,
}

/// The extensions of files that a program is needed for.
pub const EXTENSIONS: &[(&str, &str)] = &[("ncl", "nickel"), ("nu", "nu")];

/// The programs that a project needs.
pub fn tools(traits: &Traits, packages: &Packages<'_>) -> Vec<ToolNeed> {
    let mut needs = BTreeMap::new();
    let mut need = |tool: &'static str, because: String, version: Option<String>| {
        needs.entry(tool).or_insert(ToolNeed { tool, because, version });
    };
    let bindgen = packages.iter().find(|(name, _)| *name == "wasm-bindgen").map(|(_, version)| *version);
    let leptos = traits.leptos.as_ref().map(|place| format!("{place} has metadata for leptos"));
    if let Some(because) = &leptos {
        need("cargo-leptos", because.clone(), None);
    }
    let wasm = traits.targets.iter().find(|target| target.starts_with("wasm32-unknown"));
    let because = leptos.or_else(|| wasm.map(|target| format!("it is compiled for {target}"))).or_else(|| {
        let cdylib = traits.cdylibs.first().filter(|_| bindgen.is_some())?;
        Some(format!("{cdylib} is a cdylib, and wasm-bindgen is among its crates"))
    });
    if let (Some(because), Some(version)) = (because, bindgen) {
        // wasm-bindgen takes modules of its own version only.
        need("wasm-bindgen", because.clone(), Some(version.to_owned()));
        need("wasm-opt", because, None);
    }
    for (extension, tool) in EXTENSIONS {
        if let Some((number, file)) = traits.files.get(extension) {
            let others = if *number > 1 { format!(" and {} more", number - 1) } else { String::new() };
            need(tool, format!("{file}{others}"), None);
        }
    }
    needs.into_values().collect()
}

/// The C libraries that crates of the project link, by what they declare (`links`), or else by what such crates are
/// called (`NAME-sys`, as cargo's book has it).
pub fn libraries(packages: &Packages<'_>, links: &BTreeMap<(String, String), String>) -> Vec<LibraryNeed> {
    let library = |name: &str, version: &str| match links.get(&(name.to_owned(), version.to_owned())) {
        Some(declared) => Some(declared.clone()),
        // Its library is not called as it is.
        None if name == "ort-sys" => Some("onnxruntime".to_owned()),
        None => name.strip_suffix("-sys").map(|stem| plain(stem).to_owned()),
    };
    let need = |(name, version): &(&str, &str)| {
        Some(LibraryNeed {
            library: library(name, version)?,
            package: (*name).to_owned(),
            version: (*version).to_owned(),
        })
    };
    let mut needs: Vec<LibraryNeed> = packages.iter().filter_map(need).collect();
    needs.sort();
    needs
}

/// Whether a declared C library is the one of a `links`: `libonnxruntime.so.1.21` is `onnxruntime`.
pub fn is_library(declared: &str, links: &str) -> bool {
    let stem = declared.split(".so").next().unwrap_or(declared);
    plain(stem.strip_suffix(".a").unwrap_or(stem)) == plain(links)
}

fn plain(library: &str) -> &str {
    library.strip_prefix("lib").unwrap_or(library)
}
