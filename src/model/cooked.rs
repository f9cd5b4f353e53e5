//! Dependency sets that are compiled ahead.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{LayerName, RelPath};

/// A dependency set that is compiled ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooked {
    /// The folder with Cargo.toml and Cargo.lock.
    pub path: RelPath,
    /// What it is compiled with, in this order: one profile or more.
    pub profiles: Vec<CookProfile>,
    /// Cargo's target folder in the image.
    pub target_dir: String,
    /// The unit manifest in the image.
    pub units: String,
    /// What the set may not exceed. Not an input.
    pub ceilings: Ceilings,
}

/// A profile that a set is compiled with: cargo's name of it, and settings that differ from what the set's Cargo.toml
/// says. As text `NAME[:key=value,…]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CookProfile {
    /// `release`, `dev`, `test`, …
    pub name: String,
    /// The settings, by cargo's names: `lto` → `thin`.
    pub settings: BTreeMap<String, String>,
}

/// A text that is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no profile: write NAME or NAME:key=value,…, as in `release` or `release:lto=thin`; a key is one of {settings}, once", settings = CookProfile::SETTINGS.join(", "))]
pub struct ProfileError(pub String);

/// What a dependency set may not exceed; what is absent has no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Packages that are compiled.
    pub packages: Option<u64>,
    /// Units of compilation, of all profiles together.
    pub units: Option<u64>,
    /// Packages of which there is another version.
    pub duplicates: Option<u64>,
    /// Units that the layer below has compiled already.
    pub second_time: Option<u64>,
    /// Processor seconds of all compilation.
    pub cpu_s: Option<u64>,
    /// Bytes of all that is compiled.
    pub bytes: Option<u64>,
    /// By a crate's name, the most units that a new version of it may have compiled again.
    pub cone: BTreeMap<String, u64>,
}

impl Cooked {
    /// The build argument by which the Dockerfile takes the profiles, separated by spaces.
    pub const PROFILES_ARG: &str = "COOK_PROFILES";
    /// The stage of the Dockerfile that an earlier image of the layer stands in for.
    pub const DONOR_STAGE: &str = "donor";
    /// Where the profiles are not named.
    pub const DEFAULT_PROFILE: &str = "release";

    /// Where the unit manifest lies if nothing else is said.
    pub fn default_units(layer: &LayerName) -> String {
        format!("/cooked/{layer}.units.json")
    }

    /// The value of [`Cooked::PROFILES_ARG`].
    pub fn profiles_arg(&self) -> String {
        self.profiles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}

impl CookProfile {
    /// The settings that cargo has: <https://doc.rust-lang.org/cargo/reference/profiles.html>.
    pub const SETTINGS: [&str; 11] = [
        "codegen-units",
        "debug",
        "debug-assertions",
        "incremental",
        "inherits",
        "lto",
        "opt-level",
        "overflow-checks",
        "panic",
        "rpath",
        "strip",
    ];
}

impl FromStr for CookProfile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let error = || ProfileError(text.to_owned());
        let is_word = |word: &str, more: &[u8]| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            word.starts_with(|first: char| first.is_ascii_alphanumeric()) && word.bytes().all(allowed)
        };
        let (name, list) = text.split_once(':').map_or((text, None), |(name, list)| (name, Some(list)));
        if !is_word(name, b"_-") {
            return Err(error());
        }
        let mut settings = BTreeMap::new();
        for setting in list.into_iter().flat_map(|list| list.split(',')) {
            let (key, value) = setting.split_once('=').ok_or_else(error)?;
            let is_known = Self::SETTINGS.contains(&key) && is_word(value, b"_-");
            if !is_known || settings.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(error());
            }
        }
        Ok(Self { name: name.to_owned(), settings })
    }
}

impl fmt::Display for CookProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (number, (key, value)) in self.settings.iter().enumerate() {
            write!(f, "{}{key}={value}", if number == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl Ceilings {
    /// Those of a single number that are set, by the names that the contract gives them.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("packages", self.packages),
            ("units", self.units),
            ("duplicates", self.duplicates),
            ("second_time", self.second_time),
            ("cpu_s", self.cpu_s),
            ("bytes", self.bytes),
        ]
        .into_iter()
        .filter_map(|(name, ceiling)| Some((name, ceiling?)))
    }

    /// Whether nothing has a bound.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
