//! The program with a real cargo: what it writes down is what cargo says, and a donor changes nothing but the time.

mod sccache;
mod shop;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use shop::{Shop, files, units};

/// Packages and kinds that cargo says are fresh, and those that are not.
fn verdict(shop: &Shop, project: &str, words: &[&str]) -> (usize, Vec<String>) {
    let target = shop.target();
    let mut all = vec!["build", "--locked", "--offline", "--message-format", "json", "--target-dir"];
    all.push(target.to_str().expect("a text"));
    all.extend(words);
    let said = shop.cargo(project, &all);
    let messages = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let artifacts = messages.filter(|message| message["reason"] == "compiler-artifact");
    let (mut fresh, mut stale) = (0, Vec::new());
    for artifact in artifacts {
        let package = artifact["package_id"].as_str().expect("a text");
        match artifact["fresh"] == true {
            true => fresh += 1,
            false if package.starts_with("path+") => {}
            false => stale.push(package.to_owned()),
        }
    }
    (fresh, stale)
}

#[test]
fn a_manifest_names_what_cargo_takes_and_the_target_folder_holds_nothing_else() {
    let shop = Shop::new();
    shop.cook("p", "project", &["--profiles", "release", "--", "--offline"]).success().says("compiled 11");
    let manifest = shop.manifest("p");
    let known = units(&manifest, 0);
    // leaf and deep twice, for the host and for the target; scripted three times.
    assert_eq!(known.len(), 11, "{known:?}");
    let release = shop.target().join("release");
    for path in files(&release) {
        let name = path.strip_prefix(&release).expect("below").to_str().expect("a text").to_owned();
        let digits = known.keys().map(|folder| &folder[folder.len() - 16..]);
        assert!(digits.into_iter().any(|digits| name.contains(digits)), "{name} belongs to no unit");
    }
    for unit in manifest["cooks"][0]["graph"]["units"].as_array().expect("units") {
        let Some(output) = unit.get("output") else { continue };
        assert!(output["bytes"].as_u64() > Some(0) && output["cpu_ms"].is_u64(), "{output}");
    }
    // Runs of build scripts are no artifacts.
    assert_eq!(verdict(&shop, "project", &["--release"]), (10, Vec::new()));
}

#[test]
fn a_donor_leaves_the_cone_to_compile_and_changes_no_byte() {
    let bumps = [
        ("leaf", "0.1.0", "0.1.1", vec!["leaf"]),
        ("deep", "0.1.1", "0.1.0", vec!["deep", "derived", "middle", "top"]),
    ];
    for (name, deep, leaf, cone) in bumps {
        let shop = Shop::new();
        shop.cook("p", "project", &["--", "--offline"]).success();
        let before = units(&shop.manifest("p"), 0);
        let donor = shop.make_donor("donor");
        let donor = donor.to_str().expect("a text");
        shop.project("project", &format!("top = \"0.1\"\nother = \"0.1\"\nleaf = \"={leaf}\"\n"), deep);

        let seeded = shop.cook("p", "project", &["--donor", donor, "--", "--offline"]).success();
        let with_donor = units(&shop.manifest("p"), 0);
        let cpu = |manifest: &Value| manifest["cooks"][0]["graph"]["units"].to_string().matches("cpu_ms").count();
        let costs = cpu(&shop.manifest("p"));
        assert_eq!(verdict(&shop, "project", &["--release"]).1, Vec::<String>::new());
        shop.make_donor("second");

        let clean = shop.cook("p", "project", &["--", "--offline"]).success();
        let without = units(&shop.manifest("p"), 0);
        assert_eq!(with_donor, without, "{name}: units or their bytes differ");
        assert_eq!(costs, cpu(&shop.manifest("p")), "{name}: what units cost is lost");
        let changed: BTreeSet<&str> =
            without.iter().filter(|(folder, _)| !before.contains_key(*folder)).map(|(_, (_, name))| &**name).collect();
        assert_eq!(seeded.compiled(), changed, "{name}: more than the cone was compiled");
        if name == "deep" {
            assert_eq!(changed, cone.into_iter().collect::<BTreeSet<_>>());
        }
        assert!(clean.compiled().len() > changed.len());
    }
}

#[test]
fn a_donor_that_is_not_what_it_says_is_passed_over_and_said() {
    let shop = Shop::new();
    shop.cook("p", "project", &["--", "--offline"]).success();
    let clean = units(&shop.manifest("p"), 0);
    let donor = shop.make_donor("donor");
    let donor_text = donor.to_str().expect("a text").to_owned();
    let inside = donor.join(shop.path("root/cooked").strip_prefix("/").expect("absolute"));
    let manifest = inside.join("p.units.json");
    let sound = fs::read_to_string(&manifest).expect("a manifest");
    let cook = || {
        let outcome = shop.cook("p", "project", &["--donor", &donor_text, "--", "--offline"]).success();
        assert_eq!(units(&shop.manifest("p"), 0), clean);
        fs::remove_dir_all(shop.path("root/cooked")).expect("removed");
        outcome
    };
    let count = clean.len();

    cook().says(&format!("seeded {count} of {count} units from the donor, compiled 0"));

    // One flipped byte of a crate that others need: it and these are compiled.
    let rlib = files(&inside.join("target/release/deps"));
    let rlib = rlib
        .iter()
        .find(|path| path.to_string_lossy().contains("libmiddle-") && path.extension() == Some("rlib".as_ref()));
    let rlib = rlib.expect("an rlib");
    let bytes = fs::read(rlib).expect("bytes");
    let mut poisoned = bytes.clone();
    let last = poisoned.len() - 1;
    poisoned[last] ^= 1;
    fs::write(rlib, poisoned).expect("written");
    let outcome = cook().says("is not taken: its files are not those of its manifest");
    assert_eq!(outcome.compiled(), BTreeSet::from(["middle", "top"]));

    // A link, wherever it leads to.
    fs::remove_file(rlib).expect("removed");
    let aside = inside.join("aside");
    fs::write(&aside, &bytes).expect("written");
    std::os::unix::fs::symlink(&aside, rlib).expect("a link");
    cook().says("is not taken: there are links or special files in it").says("compiled 2");

    let other = |from: &str, to: &str| sound.replacen(from, to, 1);
    for (text, said) in [
        (sound[..sound.len() / 2].to_owned(), "is no unit manifest"),
        (other("\"version\":1", "\"version\":2"), "it has version 2"),
        (other("\"layer\":\"p\"", "\"layer\":\"q\""), "its layer is `q`, here it is `p`"),
        (other("\"rustc\":\"rustc 1.", "\"rustc\":\"rustc 0."), "its compiler is `rustc 0."),
        (
            other("\"rustflags\":[]", "\"rustflags\":[\"-Copt-level=1\"]"),
            "its RUSTFLAGS is `-Copt-level=1`, here it is ``",
        ),
        (other("\"folder\":\"", "\"folder\":\"../"), "is no unit manifest"),
        (String::from_utf8_lossy(&[0; 64]).into_owned(), "is no unit manifest"),
    ] {
        fs::write(&manifest, text).expect("written");
        cook().says("the donor is ignored: ").says(said).says("seeded 0 of");
    }
    fs::remove_dir_all(&donor).expect("removed");
    cook().says("no donor: everything is compiled");
}

#[test]
fn what_a_bump_leaves_behind_is_pruned() {
    let shop = Shop::new();
    shop.cook("p", "project", &["--", "--offline"]).success();
    let before = units(&shop.manifest("p"), 0);
    shop.project("project", "top = \"0.1\"\nother = \"0.1\"\nleaf = \"=0.1.0\"\n", "0.1.1");
    shop.cook("p", "project", &["--", "--offline"]).success().says("pruned ");
    let manifest = shop.manifest("p");
    assert_eq!(manifest["cooks"].as_array().map(Vec::len), Some(1), "a cook in the same words takes the place");
    let after = units(&manifest, 0);
    let names = files(&shop.target()).into_iter().map(|path| path.to_string_lossy().into_owned());
    let names: Vec<String> = names.collect();
    for gone in before.keys().filter(|folder| !after.contains_key(*folder)) {
        let digits = &gone[gone.len() - 16..];
        assert!(!names.iter().any(|name| name.contains(digits)), "{gone} is still there");
    }
}

#[test]
fn profiles_and_calls_add_up_and_each_is_fresh() {
    let shop = Shop::new();
    let profiles = "release release:lto=thin dev test";
    shop.cook("p", "project", &["--profiles", profiles, "--", "--offline"]).success();
    shop.cook("p", "project", &["--", "--offline", "--no-default-features"]).success().says("compiled 0");
    let manifest = shop.manifest("p");
    let cooks = manifest["cooks"].as_array().expect("cooks");
    let names: Vec<&str> = cooks.iter().filter_map(|cook| cook["profile"].as_str()).collect();
    assert_eq!(names, ["release", "release", "dev", "test", "release"]);
    let has_testing = |cook: usize| units(&manifest, cook).values().any(|(_, name)| name == "testing");
    assert_eq!([0, 1, 2, 3, 4].map(has_testing), [false, false, false, true, false]);
    for words in [&["--release"][..], &["--release", "--config", "profile.release.lto=\"thin\""], &["--profile", "dev"]]
    {
        assert_eq!(verdict(&shop, "project", words).1, Vec::<String>::new(), "{words:?}");
    }
}

/// A script that watches variables alone has the same fingerprint for the host and for the target.
#[test]
fn of_two_runs_with_one_fingerprint_each_unit_has_its_own() {
    let shop = Shop::new();
    shop.project("project", "top = \"0.1\"\nhosted = \"0.1\"\nleaf = \"=0.1.0\"\n", "0.1.0");
    let check = || {
        let manifest = shop.manifest("p");
        let graph = &manifest["cooks"][0]["graph"];
        let place = |value: &Value| usize::try_from(value.as_u64().expect("a place")).expect("a place");
        let units = graph["units"].as_array().expect("units");
        let name =
            |unit: &Value| graph["packages"][place(&unit["package"])]["name"].as_str().expect("a name").to_owned();
        let mut runs = BTreeSet::new();
        for unit in units.iter().filter(|unit| name(unit) == "scripted" && unit["kind"] == "lib") {
            let needed = unit["dependencies"].as_array().expect("places").iter().map(|value| &units[place(value)]);
            let mut run = needed.filter(|unit| unit["kind"] == "build-script-run");
            let run = run.next().expect("a run")["output"]["folder"].as_str().expect("a folder");
            let folder = unit["output"]["folder"].as_str().expect("a folder");
            // What cargo keeps of rustc's words names the OUT_DIR that it was given.
            let path = shop.target().join("release/.fingerprint").join(folder).join("dep-lib-scripted");
            let kept = fs::read(path).expect("a file");
            assert!(String::from_utf8_lossy(&kept).contains(&format!("build/{run}/out")), "{folder} has not {run}");
            runs.insert(run.to_owned());
        }
        assert_eq!(runs.len(), 2);
    };
    shop.cook("p", "project", &["--", "--offline"]).success();
    check();
    // Of what is fresh, nobody says it but the manifest from before.
    let donor = shop.make_donor("donor");
    let words = ["--donor", donor.to_str().expect("a text"), "--", "--offline"];
    shop.cook("p", "project", &words).success().says("compiled 0");
    check();
}

#[test]
fn watched_variables_are_kept_but_no_secret() {
    let mut shop = Shop::new();
    shop.variable("SCRIPTED_FLAG", "on");
    shop.variable("SCRIPTED_TOKEN", "hunter2");
    shop.cook("p", "project", &["--", "--offline"]).success();
    let manifest = shop.manifest("p");
    let variables = &manifest["environment"]["variables"];
    assert_eq!(variables["SCRIPTED_FLAG"], "on");
    assert!(variables["SCRIPTED_UNSET"].is_null() && variables.get("SCRIPTED_UNSET").is_some());
    let token = variables["SCRIPTED_TOKEN"].as_str().expect("a text");
    assert!(token.starts_with("sha256:") && token.len() == 7 + 64, "{token}");
    assert!(!manifest.to_string().contains("hunter2"));
}

#[test]
fn a_child_repeats_no_unit_of_its_parent() {
    let shop = Shop::new();
    shop.cook("parent", "project", &["--", "--offline"]).success();
    let theirs = units(&shop.manifest("parent"), 0);
    shop.project("child", "middle = \"0.1\"\nleaf = \"=0.1.0\"\ntesting = \"0.1\"\n", "0.1.0");
    let outcome = shop.cook("child", "child", &["--max-repeated", "0", "--", "--offline"]);
    let outcome = outcome.success().says("0 units of a parent compiled a second time");
    assert_eq!(outcome.compiled(), BTreeSet::from(["testing"]));
    // The parent's units are still there, also those that the child has no use for.
    let prints = shop.target().join("release/.fingerprint");
    assert!(theirs.keys().all(|folder| prints.join(folder).is_dir()));
}

#[test]
fn a_child_that_repeats_a_unit_fails_where_it_must_not() {
    let shop = Shop::new();
    shop.cook("parent", "project", &["--", "--offline"]).success();
    let leaf = "middle = \"0.1\"\nleaf = { version = \"=0.1.0\", features = [\"more\"] }\n";
    shop.project("child", leaf, "0.1.0");
    let outcome = shop.cook("child", "child", &["--max-repeated", "0", "--", "--offline"]);
    assert_eq!(outcome.code, Some(5));
    outcome.says("1 units of a parent compiled a second time: leaf-");
}

#[test]
fn failures_have_their_codes() {
    let shop = Shop::new();
    assert_eq!(shop.cook("p", "project", &["--profile", "x"]).says("`--profile` is no option").code, Some(2));
    let outcome = shop.cook("p", "project", &["--", "--offline", "--features", "nothing"]);
    assert_eq!(outcome.says("cargo can't plan the profile release").code, Some(3));
    shop.write("vendor/other-0.1.0/src/lib.rs", "fn");
    assert_eq!(shop.cook("p", "project", &["--", "--offline"]).says("cargo failed to compile").code, Some(3));
    assert!(!Path::new(&shop.manifest_path("p")).exists());
}
