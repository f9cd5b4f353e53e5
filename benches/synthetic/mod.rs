//! Writes catalogs of any size: the same number always gives the same catalog.
//!
//! A synthetic layer has what a real one has: a workflow of about 1 KB that imports the schema and the catalog, a
//! Dockerfile, a `.dockerignore`, and, unless it is a toolchain, a manifest with its lock file. The first layer is
//! the root. Each other one builds on any layer before it, and every seventh has a donor besides, so that the graph
//! is as deep and as wide as those of grown catalogs: about 25 waves for 10,000 layers.

use std::fs;
use std::io;
use std::path::Path;

/// Writes a catalog of `layers` layers into `folder`, which is made.
///
/// # Errors
/// When a file can't be written.
pub fn write(folder: &Path, layers: usize) -> io::Result<()> {
    // The contracts and the catalog are this repository's own.
    for shared in ["schemas", "catalog"] {
        fs::create_dir_all(folder.join(shared))?;
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(shared))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "ncl") {
                fs::copy(&path, folder.join(shared).join(path.file_name().unwrap_or_default()))?;
            }
        }
    }
    let digest = "0123456789abcdef".repeat(4);
    let reference = format!("docker.io/library/rust:1.97.1-slim-trixie@sha256:{digest}");
    let lock = format!("version = 1\n\n[[image]]\nreference = \"{reference}\"\n");
    fs::write(folder.join("lamina.lock"), lock)?;
    for number in 0..layers {
        layer(folder, number)?;
    }
    Ok(())
}

/// The name of a layer.
pub fn name(number: usize) -> String {
    if number == 0 { "root".to_owned() } else { format!("layer-{number:05}") }
}

/// The number of the layer that a layer builds on.
fn parent(number: usize) -> usize {
    scatter(number) % number
}

/// A fixed scattering of numbers (the multiplier is Knuth's, from the golden ratio).
fn scatter(number: usize) -> usize {
    (number.wrapping_mul(2_654_435_761) >> 8) % 1_000_003
}

fn layer(catalog: &Path, number: usize) -> io::Result<()> {
    let name = name(number);
    let folder = catalog.join("layers").join(&name);
    fs::create_dir_all(&folder)?;
    let class = if number.is_multiple_of(3) { "toolchain" } else { "source-dep" };
    let base = if number == 0 {
        "{ image = catalog.images.toolchain }".to_owned()
    } else {
        format!("{{ layer = \"{}\" }}", self::name(parent(number)))
    };
    let donor = (number > 10 && number.is_multiple_of(7)).then(|| self::name(scatter(number + 1) % (number - 1)));
    let donors = donor.as_ref().map(|donor| format!("  donors = [{{ layer = \"{donor}\" }}],\n")).unwrap_or_default();
    let cooked = if class == "toolchain" { "" } else { "  cooked = {},\n" };
    let workflow = format!(
        "let {{ Workflow, .. }} = import \"../../schemas/workflow.ncl\" in
let catalog = import \"../../catalog/catalog.ncl\" in
{{
  layer = \"{name}\",
  class = '{class},
  summary = \"Layer {number} of a synthetic catalog\",
  docs = m%\"
    A layer like those of real catalogs: about a kilobyte of Nickel, two imports, a few
    tools and paths, build directives. Its name says its place in the order of writing.
  \"%,

  build_base = {base},
  runtime_base = {base},
{donors}
  native_deps = [
    {{ package = \"libssl-dev\", library = \"openssl\", needed = 'build }},
    {{ package = \"libssl3t64\", library = \"libssl.so.3\", needed = 'run }},
  ],
  tools_provided = [
    {{ name = \"tool-{number}\", probe = [\"tool-{number}\", \"--version\"], version = build.args.TOOL_VERSION }},
    {{ name = \"rustc\", probe = [\"rustc\", \"--version\"], version = catalog.rust.version }},
  ],
  artifact_paths = [
    {{ path = \"/cooked/target\", description = \"compiled crates\" }},
  ],
{cooked}  build = {{
    args.TOOL_VERSION = \"1.{number}.0\",
    secrets = [{{ id = \"sccache_creds\", purpose = \"a shared compilation cache\" }}],
    resources = {{ cpu = 2, memory_mb = {memory}, time_budget_min = 20 }},
  }},
}} | Workflow
",
        memory = 1024 + number % 8 * 512,
    );
    fs::write(folder.join("workflow.ncl"), workflow)?;
    let donor_arg = donor.as_ref().map(|donor| format!("DONOR_{}", donor.to_uppercase().replace('-', "_")));
    let (donor_default, donor_stage, donor_copy) = match donor_arg {
        Some(arg) => (
            format!("ARG {arg}=rust:1.97.1-slim-trixie\n"),
            format!("FROM ${{{arg}}} AS donor\n"),
            "COPY --from=donor /usr/local/bin /usr/local/bin\n",
        ),
        None => (String::new(), String::new(), ""),
    };
    let copy = if class == "toolchain" { "" } else { "COPY Cargo.toml Cargo.lock /cooked/\n" };
    let dockerfile = format!(
        "ARG BUILD_BASE=rust:1.97.1-slim-trixie
{donor_default}{donor_stage}FROM ${{BUILD_BASE}}
ARG TOOL_VERSION=1.{number}.0
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\
    apt-get update && apt-get install -y --no-install-recommends libssl-dev
{donor_copy}{copy}RUN --mount=type=secret,id=sccache_creds echo \"tool-{number} $TOOL_VERSION\"
"
    );
    fs::write(folder.join("Dockerfile"), dockerfile)?;
    fs::write(folder.join(".dockerignore"), "*\n!Cargo.toml\n!Cargo.lock\n")?;
    if class != "toolchain" {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        fs::write(folder.join("Cargo.toml"), manifest)?;
        let lock = format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
        fs::write(folder.join("Cargo.lock"), lock)?;
    }
    Ok(())
}
