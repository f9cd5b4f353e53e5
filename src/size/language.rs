//! Which language a layer's build compiles: what is known of a build that nobody has measured.

use std::fmt;

use crate::catalog::LoadedLayer;
use crate::fingerprint::ContextFolder;
use crate::model::{Class, RelPath, Resources, Size};
use crate::tree::Files;

/// A language, as far as it says how large builds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// Java, Kotlin or Scala.
    Jvm,
    /// Any other, or none.
    Other,
}

/// The files at the root of a build context that tell of a language.
const SIGNS: [(&str, Language); 6] = [
    ("Cargo.toml", Language::Rust),
    ("go.mod", Language::Go),
    ("pom.xml", Language::Jvm),
    ("build.gradle", Language::Jvm),
    ("build.gradle.kts", Language::Jvm),
    ("build.sbt", Language::Jvm),
];

impl Language {
    /// The language of a layer: layers of crates are in Rust, of others the files at the root of the build context say
    /// it. The first of the table holds where there are several.
    pub fn of(loaded: &LoadedLayer, files: &Files) -> Self {
        let layer = &loaded.layer;
        if layer.cooked.is_some() || matches!(layer.class, Class::SourceDep | Class::NativeDep) {
            return Language::Rust;
        }
        let context = ContextFolder::main(layer);
        // A folder that can't be read is said by the build.
        let (Ok(members), ignore) = (files.tree().members(context.folder), context.ignore(files).unwrap_or_default())
        else {
            return Language::Other;
        };
        let is_there = |path: &RelPath| members.iter().any(|entry| entry.path == *path);
        let has = |name: &str| {
            let path = context.folder.join(name);
            path.is_ok_and(|path| is_there(&path) && context.has(&loaded.workflow, &ignore, &path))
        };
        SIGNS.iter().find(|(name, _)| has(name)).map_or(Language::Other, |(_, language)| *language)
    }

    /// What a build gets of which no more is known, and its minutes.
    pub fn common(self) -> (Size, u64) {
        match self {
            Language::Rust => (Size { cpu: 4, memory_mb: 8192 }, 60),
            Language::Go => (Size { cpu: 2, memory_mb: 4096 }, 30),
            Language::Jvm => (Size { cpu: 4, memory_mb: 8192 }, 45),
            Language::Other => (Size { cpu: Resources::CPU, memory_mb: Resources::MEMORY_MB }, Resources::MINUTES),
        }
    }

    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Go => "go",
            Language::Jvm => "jvm",
            Language::Other => "other",
        }
    }
}

impl fmt::Display for Language {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Rust => "Rust",
            Language::Go => "Go",
            Language::Jvm => "Java, Kotlin or Scala",
            Language::Other => "no known language",
        })
    }
}
