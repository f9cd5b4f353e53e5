//! Runners for tests: a program that leases the engine at hand, and keeps a file for each lease in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::shop::Shop;

/// A source of runners whose leases are files.
pub struct Farm {
    folder: PathBuf,
}

impl Farm {
    /// An empty folder beside the catalog.
    pub fn new(shop: &Shop) -> Self {
        let folder = shop.beside("farm");
        fs::create_dir_all(folder.join("leases")).unwrap();
        Self { folder }
    }

    /// A program that leases the engine at hand. `acquire` are lines of shell that run when a lease is asked for, after it
    /// was made and before it is answered; $lease, $memory and $leases are set, and $endpoint may be.
    pub fn program(&self, name: &str, acquire: &str) -> PathBuf {
        let leases = self.leases();
        let text = format!(
            r#"#!/bin/sh
question=$(cat)
field() {{ printf %s "$question" | tr -d ' \n' | sed -n "s/.*\"$1\":\"\{{0,1\}}\([A-Za-z0-9_-]*\).*/\1/p"; }}
operation=$(field op)
lease=$(printf %s "$question" | grep -o 'lamina-[0-9]*-[0-9]*-[a-z0-9]*' | head -1)
memory=$(field memory_mb)
leases={leases}
endpoint="{{\"docker\":\"$DOCKER_HOST\"}}"
case $operation in
acquire)
  echo "$memory" > "$leases/$lease"
  {acquire}
  printf '{{"version":1,"endpoint":%s}}\n' "$endpoint" ;;
release)
  rm -f "$leases/$lease"
  echo '{{"version":1}}' ;;
*)
  echo '{{"version":1}}' ;;
esac
"#,
            leases = leases.display(),
        );
        let program = self.folder.join(name);
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    /// Where the leases are.
    pub fn leases(&self) -> PathBuf {
        self.folder.join("leases")
    }

    /// The leases that nobody has released.
    pub fn left(&self) -> Vec<String> {
        names(&self.leases())
    }
}

/// A row of the catalog's table for a program.
pub fn row(name: &str, program: &Path, fields: &str) -> String {
    format!("{{ name = \"{name}\", provider = 'command {{ command = [\"{}\"] }}, {fields} }}", program.display())
}

/// Has the catalog's builds run on these rows.
pub fn table(shop: &Shop, rows: &[String]) {
    let rows = rows.join(",\n    ");
    replace(shop, "  rust.version", &format!("  runners = [\n    {rows},\n  ],\n  rust.version"));
}

/// Changes the catalog's file.
pub fn replace(shop: &Shop, from: &str, to: &str) {
    let file = shop.root().join("catalog/catalog.ncl");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// The leases that are written down.
pub fn written(shop: &Shop) -> Vec<String> {
    let all = names(&shop.beside("state/lamina/leases"));
    all.into_iter().filter(|name| name.ends_with(".json")).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
