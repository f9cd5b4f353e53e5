//! Archives: what is packed comes out again, and what is not as it should be does not come out at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use lamina::warm::{UnitError, UnpackError, pack, stage, unpack};
use tar::EntryType;
use tempfile::TempDir;

use crate::units::{Entry, FOLDER, PLACE, archive, file, good, library, place, special, tar, tree};

/// What comes of unpacking an archive into a folder between others; whatever it is, these stay as they are.
fn try_it(blob: &[u8], bytes: u64) -> Result<(), UnpackError> {
    let temp = TempDir::new().unwrap();
    for name in ["outside", "staged/other", "staged/deps"] {
        fs::create_dir_all(temp.path().join(name)).unwrap();
        fs::write(temp.path().join(name).join("libdemo-0123456789abcdef.rlib"), "as it was").unwrap();
    }
    let before = tree(temp.path());
    let result = stage(temp.path().join("staged/unit"), place(PLACE), blob, bytes).map(drop);
    if result.is_err() {
        assert_eq!(tree(temp.path()), before);
    }
    result
}

#[test]
fn a_good_archive_is_unpacked_as_it_is() {
    let temp = TempDir::new().unwrap();
    let (blob, bytes) = archive(&good());
    unpack(&blob, bytes, &place(PLACE), temp.path()).unwrap();
    for entry in good() {
        let path = temp.path().join(&entry.name);
        match entry.kind {
            EntryType::Directory => assert!(path.is_dir()),
            _ => {
                assert_eq!(fs::read(&path).unwrap(), entry.content, "{}", entry.name);
                // The archive says 06777: neither setuid nor a group's right to write gets through.
                assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777 & !0o111, 0o644);
            }
        }
    }
}

#[test]
fn what_does_not_belong_to_the_unit_is_refused() {
    let rlib = "deps/libdemo-0123456789abcdef.rlib";
    let long = format!("deps/lib{}-0123456789abcdef.rlib", "x".repeat(60));
    let cases: Vec<(&str, Entry)> = vec![
        ("is no plain file", special(&format!("build/{FOLDER}/out/link"), EntryType::Symlink)),
        ("is no plain file", special("deps/libmore-0123456789abcdef.rlib", EntryType::Link)),
        ("is no plain file", special(&format!("build/{FOLDER}/out/null"), EntryType::Char)),
        ("is no plain file", special(&format!("build/{FOLDER}/out/disk"), EntryType::Block)),
        ("is no plain file", special(&format!("build/{FOLDER}/out/pipe"), EntryType::Fifo)),
        ("is no plain file", special(&long, EntryType::GNULongName)),
        ("is no plain file", special(&long, EntryType::GNULongLink)),
        ("is no plain file", special(&long, EntryType::GNUSparse)),
        ("is no plain file", special(&long, EntryType::XHeader)),
        ("is no plain file", special(&long, EntryType::XGlobalHeader)),
        ("is no plain file", special(&long, EntryType::new(b'Z'))),
        ("does not belong", file("/etc/passwd", "x")),
        ("does not belong", file("/deps/libdemo-0123456789abcdef.so", "x")),
        ("does not belong", file("../outside/libdemo-0123456789abcdef.rlib", "x")),
        ("does not belong", file(&format!("build/{FOLDER}/out/../../../outside/x"), "x")),
        ("does not belong", file(&format!("build/{FOLDER}/out/./x"), "x")),
        ("does not belong", file(&format!("build/{FOLDER}/out//x"), "x")),
        ("does not belong", file(&format!("build/{FOLDER}/out/a\nb"), "x")),
        ("does not belong", file(&format!("build/{FOLDER}/elsewhere"), "x")),
        ("does not belong", file("deps/libother-0123456789abcdee.rlib", "x")),
        ("does not belong", file("deps/libdemo.rlib", "x")),
        ("does not belong", file(".fingerprint/other-0123456789abcdee/lib-other", "x")),
        ("does not belong", file("x", "x")),
        ("does not belong", file("", "x")),
        ("does not belong", special("deps", EntryType::Directory)),
        ("does not belong", special("..", EntryType::Directory)),
        ("does not belong", special("/", EntryType::Directory)),
        ("twice", file(rlib, "another")),
        ("twice", special(&format!("build/{FOLDER}/out/"), EntryType::Directory)),
        // A file where a folder is, and a folder where a file is.
        ("", special(&format!("build/{FOLDER}/out/generated.rs/x"), EntryType::Directory)),
        ("", file(&format!("build/{FOLDER}/out/generated.rs/x"), "x")),
    ];
    for (said, bad) in cases {
        for at in [0, 2, good().len()] {
            let mut entries = good();
            entries.insert(at, bad.clone());
            let (blob, bytes) = archive(&entries);
            let error = try_it(&blob, bytes).expect_err(&bad.name).to_string();
            // Of two with one name, the second one is refused; what it is does not matter before.
            assert!(error.contains(said) || said == "twice", "{}: {error}", bad.name);
        }
    }
}

#[test]
fn a_size_that_is_not_true_is_refused() {
    let with = |size: u64, content: &str| {
        let mut entries = good();
        let last = entries.len() - 1;
        entries[last] = Entry { size: Some(size), ..file("deps/libdemo-0123456789abcdef.rlib", content) };
        archive(&entries)
    };
    for size in [1 << 20, 1 << 32, (1 << 33) - 1] {
        let (blob, bytes) = with(size, "code");
        assert!(matches!(try_it(&blob, bytes), Err(UnpackError::Malformed(_))), "{size}");
    }
    let (blob, bytes) = archive(&good());
    for said in [0, 511, bytes - 512, bytes - 1] {
        assert!(matches!(try_it(&blob, said), Err(UnpackError::TooLarge)), "{said}");
    }
    assert!(matches!(try_it(&blob, u64::MAX), Err(UnpackError::TooLarge)));
    try_it(&blob, bytes).unwrap();
}

#[test]
fn an_archive_that_grows_without_end_is_left_at_its_bound() {
    let mut entries = good();
    entries[4].content = vec![0; 256 << 20];
    let (blob, _) = archive(&entries);
    assert!(blob.len() < 1 << 20, "{}", blob.len());
    assert!(matches!(try_it(&blob, 64 << 10), Err(UnpackError::TooLarge)));
    // A window that needs more memory than anybody would give.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::Write::write_all(&mut encoder, &tar(&good())).unwrap();
    assert!(matches!(try_it(&encoder.finish().unwrap(), 64 << 10), Err(UnpackError::Malformed(_))));
}

#[test]
fn what_is_no_archive_or_broken_off_is_refused() {
    let (blob, bytes) = archive(&good());
    for cut in 0..blob.len() {
        try_it(&blob[..cut], bytes).expect_err(&cut.to_string());
    }
    try_it(b"no archive", 1 << 20).unwrap_err();
    try_it(&tar(&good()), 1 << 20).unwrap_err();
    for missing in [0, 1] {
        let mut entries = good();
        entries.remove(missing);
        let (blob, bytes) = archive(&entries);
        assert!(matches!(try_it(&blob, bytes), Err(UnpackError::Incomplete)));
    }
}

#[test]
fn equal_units_of_different_folders_are_equal_archives() {
    let packed = |time: i64| {
        let temp = TempDir::new().unwrap();
        let place = library(temp.path(), "demo", "0123456789abcdef", 7, &[3], "code");
        let build = temp.path().join(format!("release/build/{FOLDER}"));
        fs::create_dir_all(build.join("out/empty")).unwrap();
        fs::write(build.join("out/made.h"), "int f();").unwrap();
        // As cargo keeps what a build script prints: with the folder that it was in.
        let out = build.join("out").display().to_string();
        fs::write(build.join("root-output"), &out).unwrap();
        fs::write(build.join("output"), format!("cargo::rustc-link-search={out}\n")).unwrap();
        fs::write(build.join("stderr"), time.to_string()).unwrap();
        let file = fs::File::open(build.join("out/made.h")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(time as u64)).unwrap();
        pack(temp.path(), &place, Path::new("/usr/local/cargo")).unwrap()
    };
    let (one, other) = (packed(1), packed(2_000_000_000));
    assert_eq!(one.blob, other.blob);
    assert_eq!(one.content, other.content);
    let temp = TempDir::new().unwrap();
    unpack(&one.blob, one.bytes, &place(PLACE), temp.path()).unwrap();
    let read = |name: &str| fs::read_to_string(temp.path().join(format!("build/{FOLDER}/{name}"))).unwrap();
    assert_eq!(read("root-output"), format!("/lamina/release/build/{FOLDER}/out"));
    assert_eq!(read("output"), format!("cargo::rustc-link-search=/lamina/release/build/{FOLDER}/out\n"));
    assert_eq!(read("out/made.h"), "int f();");
    assert!(temp.path().join(format!("build/{FOLDER}/out/empty")).is_dir());
    assert!(!temp.path().join("deps/demo-0123456789abcdef.d").exists());
}

#[test]
fn what_others_could_not_use_is_not_packed() {
    let home = Path::new("/usr/local/cargo");
    let with = |change: &dyn Fn(&Path)| {
        let temp = TempDir::new().unwrap();
        let place = library(temp.path(), "demo", "0123456789abcdef", 7, &[], "code");
        change(&temp.path().join("release"));
        pack(temp.path(), &place, home).map(|packed| packed.watched)
    };
    let record = |local: &str| {
        let text = format!("{{\"deps\":[],\"local\":[{local}]}}");
        with(&|release| fs::write(release.join(format!(".fingerprint/{FOLDER}/lib-demo.json")), &text).unwrap())
    };
    let looks = |path: &str| record(&format!("{{\"RerunIfChanged\":{{\"output\":\"o\",\"paths\":[\"{path}\"]}}}}"));
    looks("build.rs").unwrap();
    looks("/usr/local/cargo/registry/src/demo/build.rs").unwrap();
    for outside in ["/usr/include/ssl.h", "../../x", "/usr/local/cargo/../../etc/x"] {
        assert!(matches!(looks(outside), Err(UnitError::Outside(path)) if path == outside));
    }
    let watched = record(
        "{\"RerunIfEnvChanged\":{\"var\":\"CC\",\"val\":\"gcc\"}},{\"RerunIfEnvChanged\":{\"var\":\"AR\",\"val\":null}}",
    );
    let watched = watched.unwrap();
    assert_eq!(watched["AR"], None);
    assert_eq!(watched["CC"], Some(lamina::warm::hidden("gcc")));
    let unfinished = with(&|release| fs::remove_file(release.join(format!(".fingerprint/{FOLDER}/lib-demo"))).unwrap());
    assert!(matches!(unfinished, Err(UnitError::Missing)));
    let link = with(&|release| {
        fs::create_dir_all(release.join(format!("build/{FOLDER}/out"))).unwrap();
        symlink("/etc/passwd", release.join(format!("build/{FOLDER}/out/passwd"))).unwrap();
    });
    assert!(matches!(link, Err(UnitError::NotPlain(_))));
    // What a build script prints names another unit's folder.
    let elsewhere = with(&|release| {
        let build = release.join(format!("build/{FOLDER}"));
        fs::create_dir_all(build.join("out")).unwrap();
        fs::write(build.join("root-output"), format!("/there/target/release/build/{FOLDER}/out")).unwrap();
        fs::write(build.join("output"), "cargo::include=/there/target/release/build/other/out\n").unwrap();
    });
    assert!(matches!(elsewhere, Err(UnitError::Unmovable)));
}
