//! What makes a layer useless to a project as a whole, however many crates they share.
//!
//! cargo compares more than units: the compiler, its flags, the linker, the path that sources lie at, and variables
//! that build scripts watch. Measured: one different profile key, a flag, a linker or another CARGO_HOME leaves nothing
//! or next to nothing. So these come first, each with what to do about it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Conditions, Environment, Profile};

/// The sorts of obstacles; their names are part of lamina's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hindrance {
    /// Another rustc.
    OtherToolchain,
    /// A profile, or a setting of it, that was not cooked.
    OtherProfile,
    /// A target triple that was not cooked, or none where one was.
    OtherTarget,
    /// Other flags for rustc.
    OtherRustflags,
    /// Another linker.
    OtherLinker,
    /// Sources at another path.
    OtherCargoHome,
    /// Crates from somewhere else than their registry, as vendored ones.
    OtherSource,
    /// A variable that a build script watches has another value.
    WatchedVariable,
}

impl Hindrance {
    /// All of them, the gravest first.
    pub const ALL: [Hindrance; 8] = [
        Hindrance::OtherToolchain,
        Hindrance::OtherProfile,
        Hindrance::OtherTarget,
        Hindrance::OtherRustflags,
        Hindrance::OtherLinker,
        Hindrance::OtherCargoHome,
        Hindrance::OtherSource,
        Hindrance::WatchedVariable,
    ];

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Hindrance::OtherToolchain => "other-toolchain",
            Hindrance::OtherProfile => "other-profile",
            Hindrance::OtherTarget => "other-target",
            Hindrance::OtherRustflags => "other-rustflags",
            Hindrance::OtherLinker => "other-linker",
            Hindrance::OtherCargoHome => "other-cargo-home",
            Hindrance::OtherSource => "other-source",
            Hindrance::WatchedVariable => "watched-variable",
        }
    }
}

/// What an obstacle leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Leaves {
    /// Nothing.
    Nothing,
    /// Procedural macros, build scripts and what they need, which are compiled for the host.
    HostUnits,
    /// All but what depends on the crates that it is about.
    Most,
}

/// One obstacle between a project and a layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obstacle {
    /// Its sort.
    pub hindrance: Hindrance,
    /// What it leaves.
    pub leaves: Leaves,
    /// What differs, as a sentence.
    pub text: String,
    /// What to do, as a sentence.
    pub fix: String,
}

/// What lies between a project and a layer, the gravest first; empty where nothing does. What is not known of the project
/// stands between nothing.
///
/// The environments are compared as they are. One of a project outside of containers has another CARGO_HOME than a
/// layer; who asks about a build inside of them sets what it will be there first.
pub fn obstacles(project: &Conditions, layer: &Conditions) -> Vec<Obstacle> {
    let (ours, theirs) = (&project.environment, &layer.environment);
    let mut found = Vec::new();
    toolchain(ours, theirs, &mut found);
    profile(project, layer, &mut found);
    target(project, layer, &mut found);
    rustflags(project, theirs, &mut found);
    config(ours, theirs, &mut found);
    if ours.cargo_home != theirs.cargo_home {
        found.push(Obstacle {
            hindrance: Hindrance::OtherCargoHome,
            leaves: Leaves::Nothing,
            text: format!(
                "CARGO_HOME is {}, in the layer it is {}, and cargo compares the paths of sources.",
                ours.cargo_home, theirs.cargo_home
            ),
            fix: format!("Build with CARGO_HOME={}.", theirs.cargo_home),
        });
    }
    variables(project, theirs, &mut found);
    found.sort();
    found
}

fn toolchain(project: &Environment, layer: &Environment, found: &mut Vec<Obstacle>) {
    if project.rustc.trim() == layer.rustc.trim() {
        return;
    }
    let (ours, theirs) = (release(&project.rustc), release(&layer.rustc));
    let host = |rustc: &str| line(rustc, "host: ").to_owned();
    let text = match ours == theirs {
        false => format!("The project is compiled by rustc {ours}, the layer was by {theirs}."),
        true if host(&project.rustc) != host(&layer.rustc) => {
            format!("The project is compiled on {}, the layer was on {}.", host(&project.rustc), host(&layer.rustc))
        }
        true => format!("Both are compiled by rustc {ours}, but by different builds of it."),
    };
    let fix = match ours == theirs {
        false => format!(
            "Write `channel = \"{theirs}\"` into rust-toolchain.toml, or build in an image with rustc {theirs}."
        ),
        true => "Build in an image that inherits from the layer, so that rustc is the same.".to_owned(),
    };
    found.push(Obstacle { hindrance: Hindrance::OtherToolchain, leaves: Leaves::Nothing, text, fix });
}

/// The version in `rustc -vV`.
fn release(rustc: &str) -> &str {
    line(rustc, "release: ")
}

fn line<'a>(rustc: &'a str, start: &str) -> &'a str {
    rustc.lines().find_map(|line| line.strip_prefix(start)).unwrap_or("?")
}

fn profile(project: &Conditions, layer: &Conditions, found: &mut Vec<Obstacle>) {
    for profile in &project.profiles {
        // The nearest of those in the same folder; another folder is never looked into.
        let near = layer.profiles.iter().filter(|known| known.folder == profile.folder);
        let near = near.map(|known| differences(profile, known)).min_by_key(Vec::len);
        let obstacle = match near {
            Some(differences) if differences.is_empty() => continue,
            Some(differences) => {
                let list = |side: for<'a> fn(&Difference<'a>) -> &'a str| {
                    let each = differences.iter().map(|it| setting(it.key, side(it)));
                    each.collect::<Vec<_>>().join(", ")
                };
                Obstacle {
                    hindrance: Hindrance::OtherProfile,
                    leaves: leaves(&differences),
                    text: format!(
                        "The project's profile has {}, the layer's has {}.",
                        list(|it| it.ours),
                        list(|it| it.theirs)
                    ),
                    fix: "Take these keys out of the profile (in Cargo.toml, cargo's configuration or \
                          CARGO_PROFILE_*), or have the layer cook them, too (`cooked.profiles`)."
                        .to_owned(),
                }
            }
            None => Obstacle {
                hindrance: Hindrance::OtherProfile,
                leaves: Leaves::Nothing,
                text: format!("The layer holds nothing for the target folder `{}`.", profile.folder),
                fix: "Build with a profile that the layer cooks, or have it cook this one, too (`cooked.profiles`)."
                    .to_owned(),
            },
        };
        found.push(obstacle);
    }
}

/// A setting of a profile as people read it. cargo's unit graph has `null` for one that is not set, and wraps names:
/// `{"Named":"symbols"}`, `{"resolved":{"Named":"debuginfo"}}`.
fn setting(key: &str, value: &str) -> String {
    let key = key.replace('_', "-");
    let mut inner = value;
    while let Some((_, wrapped)) = inner.strip_prefix('{').and_then(|inner| inner.split_once(':')) {
        inner = wrapped.strip_suffix('}').unwrap_or(wrapped);
    }
    match inner {
        "null" | "\"None\"" => format!("no {key}"),
        _ => format!("{key} = {}", inner.trim_matches('"')),
    }
}

/// A key of a profile with two values.
struct Difference<'a> {
    key: &'a str,
    ours: &'a str,
    theirs: &'a str,
}

fn differences<'a>(ours: &'a Profile, theirs: &'a Profile) -> Vec<Difference<'a>> {
    let keys: BTreeSet<&String> = ours.settings.keys().chain(theirs.settings.keys()).collect();
    let value = |profile: &'a Profile, key: &String| profile.settings.get(key).map_or("null", String::as_str);
    let both = keys.into_iter().map(|key| Difference { key, ours: value(ours, key), theirs: value(theirs, key) });
    both.filter(|difference| difference.ours != difference.theirs).collect()
}

/// Units of the host have defaults of their own for some keys, and take the others from the profile.
fn leaves(differences: &[Difference]) -> Leaves {
    let targets_only = |key: &str| matches!(key, "panic" | "codegen_units" | "opt_level");
    match differences.iter().all(|difference| targets_only(difference.key)) {
        true => Leaves::HostUnits,
        false => Leaves::Nothing,
    }
}

fn target(project: &Conditions, layer: &Conditions, found: &mut Vec<Obstacle>) {
    for platform in project.platforms.difference(&layer.platforms) {
        let say = |platform: Option<&str>| match platform {
            Some(triple) => format!("`--target {triple}`"),
            None => "no `--target`".to_owned(),
        };
        let there: Vec<String> = layer.platforms.iter().map(|platform| say(platform.as_deref())).collect();
        let there = there.join(" and ");
        found.push(Obstacle {
            hindrance: Hindrance::OtherTarget,
            leaves: Leaves::HostUnits,
            text: format!("The project is built with {}, the layer was with {there}.", say(platform.as_deref())),
            fix: format!(
                "Build with {there} (also see `build.target` in cargo's configuration and CARGO_BUILD_TARGET)."
            ),
        });
    }
}

fn rustflags(project: &Conditions, theirs: &Environment, found: &mut Vec<Obstacle>) {
    let ours = &project.environment;
    if ours.rustflags == theirs.rustflags {
        return;
    }
    let say = |flags: &[String]| match flags.is_empty() {
        true => "none".to_owned(),
        false => format!("`{}`", flags.join(" ")),
    };
    // With `--target`, cargo keeps flags from what is compiled for the host.
    let cross = !project.platforms.is_empty() && project.platforms.iter().all(Option::is_some);
    found.push(Obstacle {
        hindrance: Hindrance::OtherRustflags,
        leaves: if cross { Leaves::HostUnits } else { Leaves::Nothing },
        text: format!(
            "The flags for rustc are {}, in the layer they were {}.",
            say(&ours.rustflags),
            say(&theirs.rustflags)
        ),
        fix: match theirs.rustflags.is_empty() {
            true => "Build without RUSTFLAGS and `rustflags` in cargo's configuration.".to_owned(),
            false => format!("Build with RUSTFLAGS=\"{}\".", theirs.rustflags.join(" ")),
        },
    });
}

fn config(ours: &Environment, theirs: &Environment, found: &mut Vec<Obstacle>) {
    let keys: BTreeSet<&String> = ours.config.keys().chain(theirs.config.keys()).collect();
    for key in keys {
        let (here, there) = (ours.config.get(key), theirs.config.get(key));
        if here == there {
            continue;
        }
        let say = |value: Option<&String>| value.map_or("not set".to_owned(), |value| format!("`{value}`"));
        let (hindrance, leaves) = match (key.ends_with(".linker"), key.starts_with("source.")) {
            (true, _) => (Hindrance::OtherLinker, Leaves::Nothing),
            (_, true) => (Hindrance::OtherSource, Leaves::Nothing),
            // What else stands below `target` goes to rustc as flags, which are compared, or to build scripts.
            _ => continue,
        };
        found.push(Obstacle {
            hindrance,
            leaves,
            text: format!("`{key}` of cargo's configuration is {}, in the layer it was {}.", say(here), say(there)),
            fix: match there {
                None => format!("Build without `{key}` in .cargo/config.toml and in the environment."),
                Some(value) => format!("Set `{key}` to `{value}` in .cargo/config.toml."),
            },
        });
    }
}

fn variables(project: &Conditions, theirs: &Environment, found: &mut Vec<Obstacle>) {
    for name in project.differing(theirs) {
        let value = |environment: &Environment| environment.variables.get(name).cloned().flatten();
        let (here, there) = (value(&project.environment), value(theirs));
        let say = |value: &Option<String>| match value {
            None => "not set".to_owned(),
            Some(value) if value.starts_with("sha256:") => "set to something else".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        found.push(Obstacle {
            hindrance: Hindrance::WatchedVariable,
            leaves: Leaves::Most,
            text: format!("Build scripts watch {name}: it is {}, in the layer it was {}.", say(&here), say(&there)),
            fix: match there {
                None => format!("Build without {name}."),
                Some(value) if value.starts_with("sha256:") => format!("Build with the layer's value of {name}."),
                Some(value) => format!("Build with {name}={value}."),
            },
        });
    }
}
