//! The command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::failure::{Failure, Result};

pub const HELP: &str = "\
Cook a dependency set into a layer, and write down its units of compilation

Usage: lamina-cook --layer NAME --target-dir DIR --manifest FILE [OPTIONS] [-- CARGO ARGUMENTS]
       lamina-cook --run CARGO ARGUMENTS

It compiles the dependencies of the project in the current folder, once for each profile, and writes the units
of compilation to a manifest that `lamina suggest`, `lamina warm` and the layer's next cook read. What the target
folder holds besides, belonging neither to this manifest nor to one beside it, is deleted.

Where settings of sccache are mounted (/run/secrets/sccache_creds, or the file that LAMINA_COOK_SCCACHE_SETTINGS
names; lines NAME=value), crates are compiled through it. Its server alone gets them. One that does not start or
answer is left out, and a line says what sccache did.

Options:
      --run                Compile nothing but what the command behind it does, through sccache where it is there:
                           `lamina-cook --run cargo install --locked cargo-chef`
      --layer NAME         The layer's name
      --target-dir DIR     Cargo's target folder
      --manifest FILE      The manifest, as a rule /cooked/NAME.units.json. Where it is there already, the new
                           cooks are added to it. Manifests of other layers in its folder are those of parents.
      --recipe FILE        A recipe of `cargo chef prepare`, unpacked into the current folder first
      --profiles LIST      Profiles with spaces between them, each NAME or NAME:key=value,... with settings of
                           the profile: \"release release:lto=thin dev test\". `test` is what `cargo test
                           --no-run --tests` compiles. [default: release]
      --donor DIR          The root of an earlier image of the layer. Its units are taken over where they are
                           what its manifest says; cargo compiles what is missing or no longer fits.
      --max-repeated N     Fail where more than N units of a parent's are compiled a second time, with other
                           features or dependencies
  -h, --help               Print this help
  -V, --version            Print the version

Exit codes: 1 a file or program failed, 2 wrong usage, 3 cargo failed, 4 cargo's words and files don't agree,
5 more units were repeated than --max-repeated allows.
";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    Help,
    Version,
    Cook(Options),
    /// A program and its arguments, whose calls of rustc go through sccache.
    Run(Vec<String>),
}

/// What is to be cooked, and where to.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub layer: String,
    pub recipe: Option<PathBuf>,
    pub target_dir: PathBuf,
    pub manifest: PathBuf,
    pub profiles: Vec<ProfileSpec>,
    pub donor: Option<PathBuf>,
    pub max_repeated: Option<usize>,
    /// For cargo.
    pub arguments: Vec<String>,
}

/// A profile, and what is changed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileSpec {
    pub name: String,
    pub settings: BTreeMap<String, String>,
}

impl Request {
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Request> {
        let mut words = words.into_iter();
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        let mut arguments = Vec::new();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-h" | "--help" => return Ok(Request::Help),
                "-V" | "--version" => return Ok(Request::Version),
                "--run" => {
                    let command: Vec<String> = words.by_ref().collect();
                    return match command.is_empty() || !values.is_empty() {
                        true => Err(usage("--run stands alone before a command".to_owned())),
                        false => Ok(Request::Run(command)),
                    };
                }
                "--" => arguments.extend(words.by_ref()),
                _ => {
                    let (name, value) = match word.split_once('=') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (word, None),
                    };
                    const KNOWN: [&str; 7] =
                        ["layer", "recipe", "target-dir", "manifest", "profiles", "donor", "max-repeated"];
                    let Some(known) = name.strip_prefix("--").filter(|name| KNOWN.contains(name)) else {
                        return Err(usage(format!("`{name}` is no option")));
                    };
                    let value = value.or_else(|| words.next()).ok_or_else(|| usage(format!("{name} needs a value")))?;
                    if values.insert(known.to_owned(), value).is_some() {
                        return Err(usage(format!("{name} was given twice")));
                    }
                }
            }
        }
        let mut take = |name: &str| values.remove(name);
        let mut need = |name: &str| take(name).ok_or_else(|| usage(format!("--{name} is missing")));
        let (layer, target_dir, manifest) = (need("layer")?, need("target-dir")?, need("manifest")?);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if layer.is_empty() || !layer.chars().all(plain) {
            return Err(usage(format!("`{layer}` is no layer's name")));
        }
        let (target_dir, manifest) = (PathBuf::from(target_dir), PathBuf::from(manifest));
        if !target_dir.is_absolute() || !manifest.is_absolute() {
            return Err(usage("--target-dir and --manifest are absolute paths".to_owned()));
        }
        let profiles = ProfileSpec::parse_list(&take("profiles").unwrap_or_else(|| "release".to_owned()))?;
        let max_repeated = take("max-repeated")
            .map(|number| number.parse().map_err(|_| usage(format!("--max-repeated: `{number}` is no number"))))
            .transpose()?;
        Ok(Request::Cook(Options {
            layer,
            recipe: take("recipe").map(PathBuf::from),
            target_dir,
            manifest,
            profiles,
            donor: take("donor").map(PathBuf::from),
            max_repeated,
            arguments,
        }))
    }
}

impl ProfileSpec {
    fn parse_list(text: &str) -> Result<Vec<ProfileSpec>> {
        let specs: Vec<ProfileSpec> = text.split_whitespace().map(ProfileSpec::parse).collect::<Result<_>>()?;
        if specs.is_empty() {
            return Err(usage("--profiles names no profile".to_owned()));
        }
        Ok(specs)
    }

    fn parse(text: &str) -> Result<ProfileSpec> {
        let (name, settings) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let plain = |text: &str, more: &[char]| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
        };
        let mut read = BTreeMap::new();
        for setting in settings.into_iter().flat_map(|settings| settings.split(',')) {
            let pair = setting
                .split_once('=')
                .filter(|(key, value)| plain(key, &['-', '_', '.']) && plain(value, &['-', '_', '.']));
            let Some((key, value)) = pair else {
                return Err(usage(format!("`{setting}` in the profile `{text}` is not KEY=VALUE")));
            };
            read.insert(key.to_owned(), value.to_owned());
        }
        if !plain(name, &['-', '_']) {
            return Err(usage(format!("`{name}` is no name of a profile")));
        }
        Ok(ProfileSpec { name: name.to_owned(), settings: read })
    }

    /// What cargo is called with: a command, and arguments that choose the profile and change it.
    pub fn command(&self) -> Vec<String> {
        let mut words: Vec<String> = match self.name.as_str() {
            // Without documentation's tests, which rustdoc compiles when they are run.
            "test" => ["test", "--no-run", "--tests"].map(str::to_owned).to_vec(),
            name => vec!["build".to_owned(), "--profile".to_owned(), name.to_owned()],
        };
        for (key, value) in &self.settings {
            // true, false and numbers are what they are; all else is a text.
            let value = match matches!(value.as_str(), "true" | "false") || value.parse::<u32>().is_ok() {
                true => value.clone(),
                false => format!("\"{value}\""),
            };
            words.extend(["--config".to_owned(), format!("profile.{}.{key}={value}", self.name)]);
        }
        words
    }
}

impl std::fmt::Display for ProfileSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        for (place, (key, value)) in self.settings.iter().enumerate() {
            write!(f, "{}{key}={value}", if place == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

fn usage(text: String) -> Failure {
    Failure::Usage(format!("{text}; see lamina-cook --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn options(text: &str) -> Options {
        match Request::parse(words(text)) {
            Ok(Request::Cook(options)) => options,
            other => panic!("{text}: {other:?}"),
        }
    }

    const LEAST: &str = "--layer a --target-dir /cooked/target --manifest /cooked/a.units.json";

    #[test]
    fn what_is_behind_the_dashes_is_cargos() {
        let options = options(&format!("{LEAST} --max-repeated=0 -- --no-default-features --features ssr"));
        assert_eq!(options.arguments, words("--no-default-features --features ssr"));
        assert_eq!(options.max_repeated, Some(0));
        assert_eq!(options.profiles, [ProfileSpec { name: "release".to_owned(), settings: BTreeMap::new() }]);
    }

    #[test]
    fn settings_reach_cargo_as_toml() {
        let specs = ProfileSpec::parse_list(" release  release:lto=thin,codegen-units=1,panic=abort test:debug=false");
        let specs = specs.expect("three profiles");
        assert_eq!(specs[0].command(), words("build --profile release"));
        assert_eq!(
            specs[1].command(),
            words(
                "build --profile release --config profile.release.codegen-units=1 --config \
                 profile.release.lto=\"thin\" --config profile.release.panic=\"abort\""
            )
        );
        assert_eq!(specs[1].to_string(), "release:codegen-units=1,lto=thin,panic=abort");
        assert_eq!(specs[2].command(), words("test --no-run --tests --config profile.test.debug=false"));
    }

    #[test]
    fn wrong_usage_is_said() {
        for (text, said) in [
            ("--layer a --target-dir /t", "--manifest is missing"),
            ("--layer a/b --target-dir /t --manifest /m", "`a/b` is no layer's name"),
            ("--layer a --target-dir t --manifest /m", "absolute"),
            ("--layer a --layer b", "--layer was given twice"),
            ("--colour never", "`--colour` is no option"),
            ("--layer", "--layer needs a value"),
            ("--layer a --target-dir /t --manifest /m --profiles release:lto", "`lto` in the profile `release:lto`"),
            ("--layer a --target-dir /t --manifest /m --profiles rel/ease", "`rel/ease` is no name"),
            ("--layer a --target-dir /t --manifest /m --max-repeated few", "`few` is no number"),
        ] {
            let error = Request::parse(words(text)).expect_err(text);
            assert!(matches!(&error, Failure::Usage(text) if text.contains(said)), "{text}: {error}");
        }
    }
}
