//! Units that no compiler has made: files with the names and records that cargo would give them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lamina::unit::{Cook, Environment, Kind, Manifest, Output, Package, Profile, Unit, UnitGraph};
use lamina::warm::Place;
use tar::{Builder, EntryType, Header};

pub const FOLDER: &str = "demo-0123456789abcdef";
pub const PLACE: &str = "release/demo-0123456789abcdef";

pub fn place(text: &str) -> Place {
    text.parse().unwrap()
}

/// Writes a compiled library into a target folder. `hash` is cargo's hash of it, `below` those of what it was made with.
pub fn library(target: &Path, name: &str, digits: &str, hash: u64, below: &[u64], content: &str) -> Place {
    let release = target.join("release");
    let write = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let folder = release.join(format!(".fingerprint/{name}-{digits}"));
    let deps: Vec<String> = below.iter().map(|hash| format!("[1,\"below\",false,{hash}]")).collect();
    write(folder.join(format!("lib-{name}")), &hash_text(hash));
    write(
        folder.join(format!("lib-{name}.json")),
        &format!("{{\"features\":\"[]\",\"deps\":[{}],\"local\":[{{\"Precalculated\":\"1\"}}]}}", deps.join(",")),
    );
    write(release.join(format!("deps/lib{name}-{digits}.rlib")), content);
    write(release.join(format!("deps/lib{name}-{digits}.rmeta")), content);
    write(release.join(format!("deps/{name}-{digits}.d")), "nobody's");
    place(&format!("release/{name}-{digits}"))
}

/// A hash as cargo writes it: the lowest byte first.
pub fn hash_text(hash: u64) -> String {
    hash.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `upper` depends on `lower`; both are libraries of crates.io. Where they lie, `folders` says.
pub fn graph(folders: [&str; 2]) -> UnitGraph {
    let source = Some("registry+https://github.com/rust-lang/crates.io-index".to_owned());
    let package = |name: &str| Package { name: name.to_owned(), version: "1.0.0".to_owned(), source: source.clone() };
    let unit = |package: usize, target: &str, dependencies: Vec<usize>| Unit {
        package,
        kind: Kind::Lib,
        target: target.to_owned(),
        crate_types: vec!["lib".to_owned()],
        platform: None,
        features: Vec::new(),
        profile: 0,
        dependencies,
        output: Some(Output {
            folder: folders[package].to_owned(),
            cpu_ms: Some(1500),
            bytes: 10,
            sha256: None,
            watches: Vec::new(),
        }),
    };
    UnitGraph {
        packages: vec![package("lower"), package("upper")],
        profiles: vec![Profile { folder: "release".to_owned(), settings: [].into() }],
        units: vec![unit(0, "lower", vec![]), unit(1, "upper", vec![0])],
        roots: vec![1],
    }
}

pub fn manifest(graph: UnitGraph) -> Manifest {
    let cook = Cook {
        profile: "release".to_owned(),
        settings: [].into(),
        target_dir: "/cooked/target".to_owned(),
        arguments: Vec::new(),
        graph,
    };
    let environment = Environment { cargo_home: "/usr/local/cargo".to_owned(), ..Environment::default() };
    Manifest { version: 1, layer: "demo".to_owned(), environment, cooks: vec![cook] }
}

/// An entry of an archive, with whatever name and kind.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub kind: EntryType,
    pub content: Vec<u8>,
    /// The size that its head says; that of the content where it is absent.
    pub size: Option<u64>,
}

pub fn file(name: &str, content: &str) -> Entry {
    Entry { name: name.to_owned(), kind: EntryType::Regular, content: content.as_bytes().to_vec(), size: None }
}

pub fn special(name: &str, kind: EntryType) -> Entry {
    Entry { name: name.to_owned(), kind, content: Vec::new(), size: None }
}

/// The entries of a good archive.
pub fn good() -> Vec<Entry> {
    vec![
        file(&format!(".fingerprint/{FOLDER}/lib-demo"), &hash_text(7)),
        file(&format!(".fingerprint/{FOLDER}/lib-demo.json"), "{\"deps\":[],\"local\":[]}"),
        special(&format!("build/{FOLDER}/out"), EntryType::Directory),
        file(&format!("build/{FOLDER}/out/generated.rs"), "fn f() {}"),
        file("deps/libdemo-0123456789abcdef.rlib", "code"),
    ]
}

/// A tar of these entries, names and all as they are.
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_ustar();
        let name = entry.name.as_bytes();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(entry.kind);
        header.set_mode(0o6777);
        header.set_size(entry.size.unwrap_or(entry.content.len() as u64));
        header.set_cksum();
        builder.append(&header, &*entry.content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The same, compressed, with its size before.
pub fn archive(entries: &[Entry]) -> (Vec<u8>, u64) {
    let tar = tar(entries);
    (zstd::encode_all(&*tar, 1).unwrap(), tar.len() as u64)
}

/// All that is below a folder: paths with contents and times.
pub fn tree(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>, Duration)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            let time = metadata.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            match metadata.is_dir() {
                // A folder's own time changes with what is made and removed in it.
                true => {
                    folders.push(entry.path());
                    found.push((entry.path(), None, Duration::ZERO));
                }
                false => found.push((entry.path(), Some(fs::read(entry.path()).unwrap()), time)),
            }
        }
    }
    found.sort();
    found
}
