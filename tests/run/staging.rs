//! What a build is sent.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use lamina::event::FailureKind;
use lamina::run::staging::{MTIME, MTIME_SPAN, StageError, stage};

use crate::common::{Shop, app};

/// All below a folder: mode and content, or where a link points; and the times of all of it.
fn listing(folder: &Path) -> (BTreeMap<String, String>, Vec<i64>) {
    let mut found = BTreeMap::new();
    let mut times = vec![folder.metadata().unwrap().mtime()];
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for member in fs::read_dir(at).unwrap() {
            let path = member.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            times.push(metadata.mtime());
            let mode = metadata.mode() & 0o777;
            let what = match () {
                () if metadata.is_symlink() => format!("-> {}", fs::read_link(&path).unwrap().display()),
                () if metadata.is_dir() => format!("{mode:o} folder"),
                () => format!("{mode:o} {}", fs::read_to_string(&path).unwrap()),
            };
            if metadata.is_dir() {
                open.push(path.clone());
            }
            found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), what);
        }
    }
    (found, times)
}

#[test]
fn the_staged_files_are_those_that_were_fingerprinted() {
    let shop = Shop::new();
    shop.file("Dockerfile", "FROM scratch\n").mode("Dockerfile", 0o755);
    shop.file("src/main.rs", "fn main() {}").mode("src/main.rs", 0o640);
    shop.file("run.sh", "#!/bin/sh").mode("run.sh", 0o700);
    shop.file("target/big", "left out").file(".dockerignore", "target\n").file("workflow.ncl", "{}");
    symlink("../no/where", shop.path("link")).unwrap();
    let snapshot = shop.snapshot();
    // What comes after the fingerprint is not built.
    shop.file("src/late", "late");
    let staged = stage(&snapshot, &app()).unwrap();
    let (files, times) = listing(&staged.context);
    let expected = [
        ("link", "-> ../no/where"),
        ("run.sh", "755 #!/bin/sh"),
        ("src", "755 folder"),
        ("src/main.rs", "644 fn main() {}"),
    ];
    let expected = expected.map(|(path, what)| (path.to_owned(), what.to_owned()));
    assert_eq!(files, expected.into());
    assert!(times.iter().all(|time| (MTIME..MTIME + MTIME_SPAN).contains(time)), "{times:?}");
    assert_eq!(fs::read_to_string(&staged.dockerfile).unwrap(), "FROM scratch\n");
    assert!(!staged.dockerfile.starts_with(&staged.context));
    let private = staged.context.parent().unwrap().to_owned();
    assert_eq!(private.metadata().unwrap().mode() & 0o777, 0o700);
    drop(staged);
    assert!(!private.exists());
}

/// BuildKit takes a file of the same path, size and time for the one that it was sent before.
#[test]
fn times_follow_from_the_content() {
    let time = |text: &str| {
        let shop = Shop::new();
        shop.file("Dockerfile", &format!("FROM {text}\n")).file("a", text);
        let staged = stage(&shop.snapshot(), &app()).unwrap();
        [&staged.dockerfile, &staged.context.join("a")].map(|path| {
            let metadata = path.metadata().unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        })
    };
    let [dockerfile, file] = time("one");
    assert_eq!(time("one"), [dockerfile, file]);
    let [other_dockerfile, other_file] = time("two");
    assert_ne!(other_dockerfile, dockerfile);
    assert_ne!(other_file, file);
}

#[test]
fn a_file_that_has_changed_is_not_built() {
    type Change = fn(&Shop);
    let changes: [(&str, Change); 5] = [
        ("another text", |shop| {
            shop.file("a", "A");
        }),
        ("another length", |shop| {
            shop.file("a", "aa");
        }),
        ("another mode", |shop| {
            shop.mode("a", 0o755);
        }),
        ("gone", |shop| fs::remove_file(shop.path("a")).unwrap()),
        ("a link now", |shop| {
            fs::rename(shop.path("a"), shop.path("b")).unwrap();
            symlink("b", shop.path("a")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let shop = Shop::new();
        shop.file("a", "a");
        let snapshot = shop.snapshot();
        change(&shop);
        let error = stage(&snapshot, &app()).unwrap_err();
        assert!(matches!(error, StageError::Moved(_)), "{what}: {error:?}");
        assert_eq!(error.to_string(), "layers/app/a has changed since lamina read it");
        assert_eq!(error.kind(), FailureKind::Moved);
    }
    let shop = Shop::new();
    symlink("x", shop.path("link")).unwrap();
    let snapshot = shop.snapshot();
    fs::remove_file(shop.path("link")).unwrap();
    symlink("y", shop.path("link")).unwrap();
    assert!(matches!(stage(&snapshot, &app()), Err(StageError::Moved(_))));
}

#[test]
fn a_dockerfile_that_has_changed_is_built_as_it_was_read() {
    let shop = Shop::new();
    shop.file("Dockerfile", "FROM scratch\n");
    let snapshot = shop.snapshot();
    shop.file("Dockerfile", "FROM busybox\n");
    let staged = stage(&snapshot, &app()).unwrap();
    assert_eq!(fs::read_to_string(&staged.dockerfile).unwrap(), "FROM scratch\n");
}
