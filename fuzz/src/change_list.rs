//! `lamina cascade --changed -`: bytes from stdin, to paths, to who claims them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use lamina::cascade::{Claims, Verdict, listed_paths};
use lamina::model::{Base, RelPath};
use lamina::snapshot::Snapshot;

use super::catalog;

static CATALOG: LazyLock<Snapshot> = LazyLock::new(|| {
    let image = Base::Image("rust:1.97.1".parse().expect("it is an image"));
    let base = catalog::layer("base", image);
    let mut tools = catalog::layer("tools", Base::Layer(catalog::name("base")));
    // One of its contexts lies elsewhere.
    tools.build.contexts.insert("shared".to_owned(), catalog::path("shared"));
    // Its only one does.
    let mut site = catalog::layer("site", Base::Layer(catalog::name("tools")));
    site.build.context = catalog::path("web");
    let files = [
        ("layers/base/Dockerfile", ""),
        ("layers/base/src/a", ""),
        ("layers/tools/Dockerfile", ""),
        ("layers/tools/.dockerignore", "*\n!src\nsrc/*.o\n"),
        ("layers/tools/src/b", ""),
        ("layers/site/Dockerfile", ""),
        ("web/index.html", ""),
        ("shared/a", ""),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    catalog::snapshot(vec![base, tools, site], BTreeMap::from(files))
});
static CLAIMS: LazyLock<Claims<'static>> = LazyLock::new(|| Claims::new(&CATALOG));

pub fn run(data: &[u8]) {
    for path in listed_paths(data).take(8) {
        assert!(!path.is_empty());
        if let Ok(path) = RelPath::new(&path) {
            judge(&path);
        }
    }
    let paths: Vec<&[u8]> = data.split(|byte| *byte == 0).filter(|path| !path.is_empty()).take(8).collect();
    let meant: Vec<_> = paths.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    // What git writes is read as it was meant, in both of its forms.
    let nul: Vec<u8> = paths.iter().flat_map(|path| path.iter().copied().chain([0])).collect();
    let lines: Vec<u8> = paths.iter().flat_map(|path| [quoted(path), b"\n".to_vec()].concat()).collect();
    assert_eq!(listed_paths(&nul).collect::<Vec<_>>(), meant, "separated by NUL");
    assert_eq!(listed_paths(&lines).collect::<Vec<_>>(), meant, "{:?}", String::from_utf8_lossy(&lines));
}

fn judge(path: &RelPath) {
    let parts: Vec<&str> = path.as_str().split('/').collect();
    assert!(path.as_str().is_empty() || parts.iter().all(|part| !["", ".", ".."].contains(part)), "{path}");
    assert_eq!(RelPath::new(path.as_str()).as_ref(), Ok(path));
    if let Some(parent) = path.parent() {
        assert_eq!(path.below(&parent), Some(path.file_name()));
        assert_eq!(parent.join(path.file_name()).as_ref(), Ok(path));
    }
    let is_of_catalog = ["layers", "schemas", "adrs", "catalog"].contains(&parts[0]);
    let owner = CATALOG.layers().find(|loaded| path.below(&loaded.folder).is_some());
    let verdict = CLAIMS.verdict(path);
    match &verdict {
        Verdict::Layers(layers) => {
            assert!(!layers.is_empty());
            assert!(layers.keys().all(|name| CATALOG.layer(name).is_some()));
        }
        Verdict::NotBuilt(why) => assert!(!why.is_empty()),
        Verdict::Ignored(glob) => assert!(glob == "**/*.md" && path.as_str().ends_with(".md"), "{path}"),
        Verdict::Outside => assert!(!is_of_catalog, "{path}"),
        Verdict::Unclaimed => assert!(is_of_catalog, "{path}"),
    }
    // What lies in a layer's folder, and that is its context, is known: it is the layer's, or it is not built.
    if let Some(loaded) = owner.filter(|loaded| loaded.layer.build.context == loaded.folder) {
        assert!(matches!(verdict, Verdict::Layers(_) | Verdict::NotBuilt(_)), "{path}: {verdict:?}");
        if let Verdict::Layers(layers) = &verdict {
            assert!(layers.contains_key(&loaded.layer.name), "{path}: {verdict:?}");
        }
    }
    for loaded in CATALOG.layers() {
        let own = [&loaded.workflow, &loaded.layer.build.dockerfile, &loaded.folder];
        if own.contains(&path) {
            assert!(matches!(&verdict, Verdict::Layers(layers) if layers.contains_key(&loaded.layer.name)), "{path}");
        }
    }
}

/// A path as git writes it on a line, from quote.c: in quotes, where it has bytes that are not plain.
fn quoted(path: &[u8]) -> Vec<u8> {
    if path.iter().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte)) {
        return path.to_vec();
    }
    let mut text = b"\"".to_vec();
    for byte in path {
        match byte {
            0x07 => text.extend(b"\\a"),
            0x08 => text.extend(b"\\b"),
            b'\t' => text.extend(b"\\t"),
            b'\n' => text.extend(b"\\n"),
            0x0b => text.extend(b"\\v"),
            0x0c => text.extend(b"\\f"),
            b'\r' => text.extend(b"\\r"),
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            b' '..=b'~' => text.push(*byte),
            other => text.extend(format!("\\{other:03o}").bytes()),
        }
    }
    text.push(b'"');
    text
}
