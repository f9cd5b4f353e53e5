//! Writes a catalog with the graph of this repository's 13 layers, whose builds take no time: each writes a megabyte
//! that no compression makes smaller, and copies a file. What is measured with it is overhead.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The contracts are this repository's own.
const SCHEMAS: [(&str, &str); 4] = [
    ("schemas/types.ncl", include_str!("../../schemas/types.ncl")),
    ("schemas/workflow.ncl", include_str!("../../schemas/workflow.ncl")),
    ("schemas/build_directives.ncl", include_str!("../../schemas/build_directives.ncl")),
    ("schemas/catalog.ncl", include_str!("../../schemas/catalog.ncl")),
];

/// Each layer, and what it builds on; the first one builds on an image.
pub const LAYERS: [(&str, &str); 13] = [
    ("rust", ""),
    ("wasm", "rust"),
    ("leptos", "wasm"),
    ("rustelo", "leptos"),
    ("ontoref", "rust"),
    ("stratumiops", "rust"),
    ("stratumiops-ia", "stratumiops"),
    ("typedialog", "rust"),
    ("librosys", "rust"),
    ("fastembed", "rust"),
    ("secretumvault", "rust"),
    ("nickel", "rust"),
    ("nushell", "rust"),
];

/// A layer that no other one builds on.
pub const LEAF: &str = "nushell";

/// A tiny catalog.
pub struct Tiny {
    /// Its root.
    pub root: PathBuf,
    registry: String,
}

impl Tiny {
    /// Writes the catalog into a folder, which is made, for a registry that is spoken to without TLS and has the image
    /// `library/busybox:stable`. Its layers are those of no other catalog once each has got a [`Tiny::seed`].
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(root: &Path, registry: &str) -> io::Result<Self> {
        let tiny = Self { root: root.to_owned(), registry: registry.to_owned() };
        for (path, text) in SCHEMAS {
            tiny.file(path, text)?;
        }
        let image = format!("{registry}/library/busybox:stable");
        for (name, parent) in LAYERS {
            let base = if parent.is_empty() {
                format!("{{ image = \"{image}\" }}")
            } else {
                format!("{{ layer = \"{parent}\" }}")
            };
            let workflow = format!(
                "let {{ Workflow, .. }} = import \"../../schemas/workflow.ncl\" in\n{{\n  layer = \"{name}\",\n  \
                 class = 'toolchain,\n  summary = \"A tiny layer\",\n  build_base = {base},\n  \
                 runtime_base = {base},\n  tags = [],\n}} | Workflow\n"
            );
            tiny.file(&format!("layers/{name}/workflow.ncl"), &workflow)?;
            let dockerfile = format!(
                "ARG BUILD_BASE={image}\nFROM ${{BUILD_BASE}}\nCOPY seed /seed-{name}\n\
                 RUN head -c 1048576 /dev/urandom > /data-{name}\n"
            );
            tiny.file(&format!("layers/{name}/Dockerfile"), &dockerfile)?;
        }
        Ok(tiny)
    }

    /// Says where its images are pushed to.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn namespace(&self, namespace: &str) -> io::Result<()> {
        let registry = &self.registry;
        let catalog = format!(
            "let {{ Catalog, .. }} = import \"../schemas/catalog.ncl\" in\n{{\n  name | default = \"tiny\",\n  \
             rust.version | default = \"1.97.1\",\n  debian.release | default = \"trixie\",\n  \
             registry | default = \"{registry}\",\n  namespace | default = \"{namespace}\",\n  \
             plain_http = [\"{registry}\"],\n  platforms | default = [\"linux/amd64\"],\n}} | Catalog\n"
        );
        self.file("catalog/catalog.ncl", &catalog)
    }

    /// Changes a layer, so that no engine has built it before: its first step copies this text.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn seed(&self, layer: &str, seed: &str) -> io::Result<()> {
        self.file(&format!("layers/{layer}/seed"), seed)
    }

    fn file(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        fs::write(path, text)
    }
}
