//! The evaluation cache: a second run gives the same answer without evaluating, and nothing makes it give another one.

use std::fs;
use std::path::PathBuf;
use std::thread;

use crate::workshop::{RUST, Workshop};

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.layer("base", RUST).layer_with("app", "base", "docs = import \"docs.md\" as 'Text,");
    shop.file("layers/app/docs.md", "first");
    shop
}

/// The cache's files.
fn files(shop: &Workshop) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(shop.cache()) else { return Vec::new() };
    listing.map(|entry| entry.unwrap().path()).collect()
}

fn show(shop: &Workshop) -> serde_json::Value {
    shop.run(["show", "app", "--format", "json"]).json(0)
}

#[test]
#[cfg(target_os = "linux")]
fn a_second_run_starts_no_worker() {
    use std::os::fd::AsRawFd;
    let shop = shop();
    let waves = "base\napp\n";
    let remark = "2 of 2 layers are affected, in 2 waves\n";
    // A program that was deleted after it was opened still runs, and can't start itself as a worker.
    let copy = shop.outside().join("lamina");
    fs::copy(env!("CARGO_BIN_EXE_lamina"), &copy).unwrap();
    let handle = fs::File::open(&copy).unwrap();
    fs::remove_file(&copy).unwrap();
    let program = format!("/proc/{}/fd/{}", std::process::id(), handle.as_raw_fd());
    let run = |args: &[&str]| {
        let args = [&["cascade", "--changed", "base", "--format", "names"], args].concat();
        shop.run_program(&program, &args, "", b"", &[])
    };
    run(&[])
        .stderr("error: the catalog can't be evaluated: the evaluation worker `[OUTSIDE]/lamina (deleted)` can't be started\n")
        .code(1);
    shop.run(["cascade", "--changed", "base", "--format", "names"]).stdout(waves).stderr(remark).success();
    run(&[]).stdout(waves).stderr(remark).success();
    run(&["--no-cache"]).any_stderr().code(1);
    shop.file("layers/app/docs.md", "second");
    run(&[]).any_stderr().code(1);
    // A worker that can't be started has not spoiled what is known.
    shop.file("layers/app/docs.md", "first");
    run(&[]).stdout(waves).stderr(remark).success();
}

#[test]
fn with_and_without_the_cache_the_answers_are_the_same() {
    let shop = shop();
    let answers: Vec<String> = [&["--no-cache"][..], &[], &[], &["--no-cache"]]
        .into_iter()
        .map(|args| {
            let args = [&["show", "app", "--format", "json"], args].concat();
            shop.run_with(&args, "", b"", &[]).answer(0)
        })
        .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[test]
fn no_cache_writes_none() {
    let shop = shop();
    shop.run(["list", "--no-cache", "--format", "names"]).stdout("app\nbase\n").success();
    assert_eq!(files(&shop), Vec::<PathBuf>::new());
    shop.run(["list", "--format", "names"]).stdout("app\nbase\n").success();
    assert_eq!(files(&shop).len(), 1);
}

#[test]
fn a_damaged_cache_counts_as_empty() {
    let shop = shop();
    let answer = show(&shop);
    let [file] = &files(&shop)[..] else { panic!("one file") };
    let good = fs::read(file).unwrap();
    let flipped: Vec<u8> =
        good.iter().enumerate().map(|(at, byte)| if at == good.len() / 2 { !byte } else { *byte }).collect();
    let longer = [&good[..], b"more"].concat();
    for damaged in [Vec::new(), good[..good.len() / 2].to_vec(), good[..10].to_vec(), flipped, vec![0xff; 5000], longer]
    {
        fs::write(file, &damaged).unwrap();
        assert_eq!(show(&shop), answer);
        assert_ne!(fs::read(file).unwrap(), damaged, "it was replaced");
        assert_eq!(show(&shop), answer);
    }
    fs::remove_file(file).unwrap();
    fs::create_dir(file).unwrap();
    assert_eq!(show(&shop), answer);
}

#[test]
fn without_a_place_for_a_cache_all_works() {
    let shop = shop();
    let env = [("XDG_CACHE_HOME", "/dev/null/x")];
    shop.run_with(&["list", "--format", "names"], "", b"", &env).stdout("app\nbase\n").success();
    let said = shop.run_with(&["list", "--format", "names", "-v"], "", b"", &env);
    said.stdout("app\nbase\n")
        .stderr("the evaluation cache can't be written: Not a directory (os error 20)\n")
        .success();
    let nowhere = [("XDG_CACHE_HOME", ""), ("HOME", "")];
    shop.run_with(&["list", "--format", "names"], "", b"", &nowhere).stdout("app\nbase\n").any_stderr().success();
}

#[test]
fn a_change_of_anything_that_was_evaluated_is_seen() {
    let shop = shop();
    let field = |path: &[&str]| {
        let shown = show(&shop);
        path.iter().fold(&shown["workflow"], |value, part| &value[*part]).clone()
    };
    assert_eq!(field(&["docs"]), "first");
    shop.file("layers/app/docs.md", "second");
    assert_eq!(field(&["docs"]), "second");
    assert_eq!(field(&["build", "resources", "disk_mb"]), 8192);
    shop.replace("schemas/build_directives.ncl", "= 8192", "= 5000");
    assert_eq!(field(&["build", "resources", "disk_mb"]), 5000);
    shop.replace("catalog/catalog.ncl", "[\"linux/amd64\"]", "[\"linux/arm64\"]");
    assert_eq!(field(&["build", "platforms"]), serde_json::json!(["linux/arm64"]));
    shop.replace("layers/app/workflow.ncl", "The layer app", "Other");
    assert_eq!(field(&["summary"]), "Other");
    // Back to what was known before.
    shop.file("layers/app/docs.md", "first").replace("layers/app/workflow.ncl", "Other", "The layer app");
    assert_eq!((field(&["docs"]), field(&["summary"])), ("first".into(), "The layer app".into()));
}

#[test]
fn overlays_do_not_share_what_was_evaluated() {
    let shop = shop();
    shop.layer_with("version", RUST, "docs = (import \"../../catalog/catalog.ncl\").rust.version,");
    shop.file("one.ncl", "{ rust.version = \"1.1.1\" }").file("two.ncl", "{ rust.version = \"2.2.2\" }");
    let docs = |args: &[&str]| {
        let args = [&["show", "version", "--format", "json"], args].concat();
        shop.run_with(&args, "", b"", &[]).json(0)["workflow"]["docs"].as_str().unwrap().to_owned()
    };
    for _ in 0..2 {
        assert_eq!(docs(&[]), "1.97.1");
        assert_eq!(docs(&["--overlay", "one.ncl"]), "1.1.1");
        assert_eq!(docs(&["--overlay", "two.ncl"]), "2.2.2");
    }
    shop.file("one.ncl", "{ rust.version = \"3.3.3\" }");
    assert_eq!(docs(&["--overlay", "one.ncl"]), "3.3.3");
}

#[test]
fn mistakes_are_not_remembered() {
    let shop = shop();
    shop.layer_with("late", RUST, "docs = import \"late.md\" as 'Text,");
    shop.run(["list"]).any_stderr().code(3);
    shop.file("layers/late/late.md", "there");
    shop.run(["list", "--format", "names"]).stdout("app\nbase\nlate\n").success();
    shop.remove("layers/late/late.md");
    shop.run(["list"]).any_stderr().code(3);
}

#[test]
fn runs_at_the_same_time_do_not_harm_each_other() {
    let shop = shop();
    let answer = show(&shop);
    files(&shop).iter().for_each(|file| fs::remove_file(file).unwrap());
    thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| show(&shop))).collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), answer);
        }
    });
    let [file] = &files(&shop)[..] else { panic!("one file, and nothing left over") };
    assert_eq!(file.extension().unwrap(), "cache");
    assert_eq!(show(&shop), answer);
}

#[test]
fn catalogs_in_different_folders_have_caches_of_their_own() {
    let shop = shop();
    let other = shop.outside().join("other");
    assert!(std::process::Command::new("cp").arg("-r").arg(shop.root()).arg(&other).status().unwrap().success());
    fs::write(other.join("layers/app/docs.md"), "other").unwrap();
    let docs = |root: &str| {
        shop.run(["show", "app", "--format", "json", "--catalog", root]).json(0)["workflow"]["docs"].clone()
    };
    for _ in 0..2 {
        assert_eq!(docs(shop.root().to_str().unwrap()), "first");
        assert_eq!(docs(other.to_str().unwrap()), "other");
    }
    assert_eq!(files(&shop).len(), 2);
}
