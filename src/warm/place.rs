//! Where a compiled unit lies in a target folder, and which names are its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::unit::{Unit, UnitGraph};

/// A unit's place in a target folder: `[TRIPLE/]PROFILE/FOLDER`, as `release/serde-04c2e949dadc8657`. Its files lie in
/// `.fingerprint/FOLDER`, `build/FOLDER` and, with the digits of the folder in their names, in `deps`, all below
/// `[TRIPLE/]PROFILE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    triple: Option<String>,
    profile: String,
    folder: String,
}

/// A text that is no place of a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no place of a unit: [TRIPLE/]PROFILE/NAME-DIGITS", .0.escape_debug())]
pub struct PlaceError(String);

impl Place {
    /// The place of a unit that has been compiled; nothing for one that has not.
    pub fn of(graph: &UnitGraph, unit: &Unit) -> Option<Self> {
        let folder = &unit.output.as_ref()?.folder;
        let platform = unit.platform.iter().map(|platform| format!("{}/", triple(platform))).collect::<String>();
        format!("{platform}{}/{folder}", graph.profile(unit).folder).parse().ok()
    }

    /// The folder that its files lie in, below the target folder: `release`.
    pub fn root(&self) -> PathBuf {
        self.triple.iter().chain([&self.profile]).collect()
    }

    /// Its folder's name: `serde-04c2e949dadc8657`.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The digits that end the names of its files.
    fn digits(&self) -> &str {
        &self.folder[self.folder.len() - DIGITS..]
    }

    /// Whether a file of this name in `deps`, or a program in `build/FOLDER`, is its own. What rustc writes for `make`
    /// (`.d`) is nobody's: cargo has its own form of it.
    pub(super) fn owns_name(&self, name: &str) -> bool {
        let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
        let own = stem.strip_suffix(self.digits()).and_then(|stem| stem.strip_suffix('-'));
        own.is_some_and(|stem| !stem.is_empty()) && extension != "d" && is_plain(name)
    }

    /// Whether a path below [`Place::root`] is one that an archive of the unit may have.
    pub(super) fn owns(&self, path: &str, is_folder: bool) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        if !parts.iter().all(|part| is_plain(part)) {
            return false;
        }
        match parts[..] {
            [".fingerprint", folder, _] => folder == self.folder && !is_folder,
            ["deps", name] => !is_folder && self.owns_name(name),
            ["build", folder, "out", ..] => folder == self.folder && (is_folder || parts.len() > 3),
            ["build", folder, name] => {
                folder == self.folder && !is_folder && (OUTPUTS.contains(&name) || self.owns_name(name))
            }
            _ => false,
        }
    }

    /// Where something of it lies in a target folder.
    pub(super) fn within(&self, target: &Path, kind: &str) -> PathBuf {
        target.join(self.root()).join(kind).join(&self.folder)
    }
}

/// What a build script's run leaves beside `out`: what it printed, and where `out` was.
pub(super) const OUTPUTS: [&str; 2] = ["output", "root-output"];
/// The digits of cargo's hash in a name.
const DIGITS: usize = 16;

/// A part of a path that names something in its folder and nothing else.
fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && !part.contains(['/', '\\'])
        && !part.chars().any(char::is_control)
}

/// The folder of a target: the triple, or the name of the file that describes it.
pub(super) fn triple(platform: &str) -> &str {
    match platform.strip_suffix(".json") {
        Some(path) => path.rsplit('/').next().unwrap_or(path),
        None => platform,
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.triple.iter().try_for_each(|triple| write!(f, "{triple}/"))?;
        write!(f, "{}/{}", self.profile, self.folder)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let error = || PlaceError(text.chars().take(120).collect());
        let (triple, profile, folder) = match text.split('/').collect::<Vec<_>>()[..] {
            [profile, folder] => (None, profile, folder),
            [triple, profile, folder] => (Some(triple), profile, folder),
            _ => return Err(error()),
        };
        let is_name = |name: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(plain)
        };
        let digits = folder.rsplit_once('-').map_or("", |(_, digits)| digits);
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != DIGITS || !digits.bytes().all(is_digit) {
            return Err(error());
        }
        match [triple.unwrap_or("host"), profile, folder].into_iter().all(is_name) {
            true => {
                Ok(Self { triple: triple.map(str::to_owned), profile: profile.to_owned(), folder: folder.to_owned() })
            }
            false => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_name_below_a_profile() {
        for good in ["release/serde-04c2e949dadc8657", "wasm32-unknown-unknown/debug/a_b-c-0123456789abcdef"] {
            assert_eq!(good.parse::<Place>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "serde-04c2e949dadc8657",
            "release/serde",
            "release/serde-04c2e949dadc865",
            "release/serde-04C2E949DADC8657",
            "../serde-04c2e949dadc8657",
            "/release/serde-04c2e949dadc8657",
            "a/b/c/serde-04c2e949dadc8657",
            "release/..-04c2e949dadc8657/..",
            "release/.x-04c2e949dadc8657",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_its_own_names_belong_to_a_unit() {
        let place: Place = "release/serde-04c2e949dadc8657".parse().unwrap();
        for (path, is_folder) in [
            (".fingerprint/serde-04c2e949dadc8657/lib-serde", false),
            ("deps/libserde-04c2e949dadc8657.rlib", false),
            ("build/serde-04c2e949dadc8657/build_script_build-04c2e949dadc8657", false),
            ("build/serde-04c2e949dadc8657/output", false),
            ("build/serde-04c2e949dadc8657/out", true),
            ("build/serde-04c2e949dadc8657/out/a/b.d", false),
        ] {
            assert!(place.owns(path, is_folder), "{path}");
        }
        for (path, is_folder) in [
            (".fingerprint/serde-04c2e949dadc8658/lib-serde", false),
            (".fingerprint/serde-04c2e949dadc8657", true),
            ("deps/libserde-04c2e949dadc8657.d", false),
            ("deps/libserde.rlib", false),
            ("deps/-04c2e949dadc8657.rlib", false),
            ("deps/04c2e949dadc8657", false),
            ("deps/a/libserde-04c2e949dadc8657.rlib", false),
            ("build/serde-04c2e949dadc8657/build-script-build", false),
            ("build/serde-04c2e949dadc8657/out", false),
            ("build/serde-04c2e949dadc8657/out/../../x", false),
            ("build/serde-04c2e949dadc8657/out//x", false),
            ("build/other-04c2e949dadc8657/out/x", false),
            ("/deps/libserde-04c2e949dadc8657.rlib", false),
            ("../deps/libserde-04c2e949dadc8657.rlib", false),
            ("examples/libserde-04c2e949dadc8657.rlib", false),
            ("deps/a\\..\\libserde-04c2e949dadc8657.rlib", false),
        ] {
            assert!(!place.owns(path, is_folder), "{path}");
        }
    }
}
