//! What of a project is built: the options that cargo has for it.

use crate::cargo::BuildOptions;

/// What is built, as `cargo build` is told.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "The build")]
pub struct CargoArgs {
    /// The profile that the project is built with
    #[arg(long, value_name = "PROFILE", default_value = "release")]
    pub profile: String,
    /// Features to turn on, separated by commas; may be repeated
    #[arg(long, short = 'F', value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// Turn all features on
    #[arg(long)]
    all_features: bool,
    /// Leave the default features off
    #[arg(long)]
    no_default_features: bool,
    /// The target triple that it is built for, if cargo is given one
    #[arg(long, value_name = "TRIPLE")]
    pub target: Option<String>,
    /// The packages of the workspace that are built; may be repeated
    #[arg(long, short, value_name = "PACKAGE")]
    package: Vec<String>,
}

impl CargoArgs {
    /// As cargo takes them.
    pub fn options(&self) -> BuildOptions {
        BuildOptions {
            profile: self.profile.clone(),
            features: self.features.clone(),
            all_features: self.all_features,
            no_default_features: self.no_default_features,
            target: self.target.clone(),
            packages: self.package.clone(),
            ..BuildOptions::default()
        }
    }
}
