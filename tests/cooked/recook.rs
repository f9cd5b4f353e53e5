//! A re-cook compiles the cone of what has changed, and comes to the same as one from nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::kitchen::{CRATES, Cooked, Kitchen};
use crate::shop::layer;

/// The crates with some versions changed, and without one.
fn changed(bumps: &[(&'static str, &'static str)], without: &str) -> Vec<(&'static str, &'static str)> {
    let mut crates: BTreeMap<&str, &str> = CRATES.into();
    crates.extend(bumps.iter().copied());
    crates.remove(without);
    crates.into_iter().collect()
}

/// Why a build had no donor.
fn why_none(cooked: &Cooked) -> &str {
    layer(&cooked.report, "web")["donor"]["why_none"].as_str().unwrap_or_default()
}

/// All files below a target folder, with their contents, but for those that cargo does without: a mark for backup
/// programs, which it only puts into a folder that it makes itself, and the moments of its calls.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => waiting.push(entry.path()),
                false => {
                    let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                    if !name.ends_with("CACHEDIR.TAG") && !name.ends_with("invoked.timestamp") {
                        found.insert(name, fs::read(entry.path()).unwrap());
                    }
                }
            }
        }
    }
    found
}

#[test]
fn after_a_bump_the_cone_is_compiled_and_no_byte_is_other_than_from_nothing() {
    let test = "after_a_bump_the_cone_is_compiled_and_no_byte_is_other_than_from_nothing";
    let (Some(kitchen), Some(elsewhere)) = (Kitchen::new(test), Kitchen::new(test)) else { return };
    let first = kitchen.cook(&[]);
    assert_eq!(why_none(&first), "there is no earlier image of it");
    let before = first.units();
    assert_eq!(first.counts(), [0, before.len(), before.len()]);

    // Predicted before anything is changed.
    let said = kitchen.shop.run(&["crates", "cone", "adler2", "libc", "--layer", "web", "--format", "json"]);
    let said: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(said["basis"], "manifest", "{said:#}");
    let (mut cone, mut units) = (BTreeSet::new(), 0);
    for bumped in said["crates"].as_array().unwrap() {
        cone.insert(bumped["name"].as_str().unwrap().to_owned());
        cone.extend(bumped["reached"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        // No crate stands on both.
        units += usize::try_from(bumped["work"]["units"].as_u64().unwrap()).unwrap();
    }
    assert_eq!(cone, ["adler2", "libc", "miniz_oxide", "num_cpus"].map(str::to_owned).into());

    let crates = changed(&[("adler2", "=2.0.1"), ("libc", "=0.2.178")], "itoa");
    let second = kitchen.crates(&crates).cook(&[]);
    let after = second.units();
    assert_eq!(layer(&second.report, "web")["donor"]["digest"].as_str(), Some(&*first.digest));
    // One crate less: it has one unit.
    assert_eq!(after.len(), before.len() - 1);
    assert_eq!(second.counts(), [after.len() - units, after.len(), units], "{}", second.log);
    let name = |package: &String| package.split('@').next().unwrap_or_default().to_owned();
    assert_eq!(second.compiled().iter().map(name).collect::<BTreeSet<_>>(), cone, "{}", second.log);
    let new = after.iter().filter(|(folder, _)| !before.contains_key(*folder));
    let new: Vec<String> = new.map(|(_, (package, _))| name(package)).collect();
    assert_eq!((new.len(), new.into_iter().collect::<BTreeSet<_>>()), (units, cone));
    assert!(
        before.iter().filter(|(folder, _)| after.contains_key(*folder)).all(|(folder, unit)| after[folder] == *unit)
    );

    // The same from nothing, elsewhere.
    let clean = elsewhere.crates(&crates).cook(&["--clean"]);
    assert_eq!((why_none(&clean), clean.counts()), ("--clean", [0, after.len(), after.len()]));
    assert_eq!(clean.units(), after);
    let dockerfile = format!(
        "FROM {} AS one\nFROM {} AS two\nFROM scratch\nCOPY --from=one /cooked/target /one\n\
         COPY --from=two /cooked/target /two\n",
        kitchen.image(&second.digest),
        elsewhere.image(&clean.digest)
    );
    let out = kitchen.shop.beside("out");
    kitchen.docker(&dockerfile, &["--output", &format!("type=local,dest={}", out.display())]);
    let (one, two) = (files(&out.join("one")), files(&out.join("two")));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    let differ: Vec<&String> = one.iter().filter(|(path, bytes)| two[*path] != **bytes).map(|(path, _)| path).collect();
    assert_eq!(differ, Vec::<&String>::new());
    assert!(one.keys().any(|path| path.ends_with(".rlib")) && one.keys().any(|path| path.ends_with(".so")));
    // Nothing is left of what was bumped or removed.
    assert!(!one.keys().any(|path| path.contains("itoa")));
    let libc = |path: &&String| path.contains("liblibc-") && path.ends_with(".rlib");
    assert_eq!(one.keys().filter(libc).count(), 1);
}
