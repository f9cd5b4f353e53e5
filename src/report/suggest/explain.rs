//! What keeps cargo from reusing anything, at length: `lamina explain` and docs/obstacles.md say it in these words.

use crate::unit::Hindrance;

/// One line: what it means.
pub fn summary(hindrance: Hindrance) -> &'static str {
    match hindrance {
        Hindrance::OtherToolchain => "The project is compiled by another rustc than the layer was.",
        Hindrance::OtherProfile => "The project's profile is not one that the layer was cooked with.",
        Hindrance::OtherTarget => "The project is built for another target than the layer was, or without naming one.",
        Hindrance::OtherRustflags => "The project gives rustc other flags.",
        Hindrance::OtherLinker => "The project names another linker.",
        Hindrance::OtherCargoHome => "CARGO_HOME is at another path than in the layer.",
        Hindrance::OtherSource => "The project takes crates from another source than the layer did.",
        Hindrance::WatchedVariable => "A variable that build scripts watch has another value than in the layer.",
    }
}

/// Why it matters and what to do.
pub fn explanation(hindrance: Hindrance) -> &'static str {
    match hindrance {
        Hindrance::OtherToolchain => {
            "rustc's version is in the hash of every unit, and crates that one rustc wrote can't be read by another. Build in an image that stands on the layer, or write the layer's version as `channel` into rust-toolchain.toml. A channel like `stable` makes rustup fetch a toolchain of its own even where the version is the same."
        }
        Hindrance::OtherProfile => {
            "cargo hashes the profile's settings: with another `lto`, `debug`, `strip`, `overflow-checks` or `debug-assertions` nothing is reused, with another `opt-level`, `panic` or `codegen-units` only what is compiled for the host. A profile of another name has a folder of its own. Take the setting out of `[profile.release]`, or have the layer cook the profile, too: `cooked.profiles` in its workflow.ncl takes `release:lto=thin`."
        }
        Hindrance::OtherTarget => {
            "With --target, or `build.target` in cargo's configuration, cargo keeps what it compiles for the target apart from what it compiles for the host, even where both are the same. Only procedural macros, build scripts and what these need are left. Leave the triple out, or have the layer cook for it."
        }
        Hindrance::OtherRustflags => {
            "RUSTFLAGS, `build.rustflags` and `target.*.rustflags` are in the hash of every unit, `-Dwarnings` and `--cfg` included. Set lints in `[lints]` of Cargo.toml, which are for the project's own crates only. Flags that are needed have to be those of the layer."
        }
        Hindrance::OtherLinker => {
            "cargo compares `target.TRIPLE.linker` even where the program is the same: a unit whose configuration changed is compiled again. Take the line out of .cargo/config.toml for builds in containers, or have the layer cook with it."
        }
        Hindrance::OtherCargoHome => {
            "cargo compares the paths that sources lie at, and takes a crate below another CARGO_HOME for a changed one. The images of Rust have /usr/local/cargo, a home folder has ~/.cargo. Build in a container of the layer, or set CARGO_HOME to the layer's path."
        }
        Hindrance::OtherSource => {
            "Where a crate comes from is in the hash of its units: a registry in the place of crates.io, or vendored crates, make other units of the same name and version. Take them from the source that the layer was cooked from."
        }
        Hindrance::WatchedVariable => {
            "A build script names the variables that it depends on (`cargo::rerun-if-env-changed`), for example CC or CFLAGS. Where one differs the script runs again, and all that depends on its crate is compiled again. Build without the variable, or with the layer's value."
        }
    }
}

/// The page that says it.
pub fn page(hindrance: Hindrance) -> String {
    format!("docs/obstacles.md#{}", hindrance.code())
}
