//! A project is compiled, published, and found again: cargo itself says what is fresh.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::shop::{Shop, ran};
use crate::units::tree;

/// What the project compiles itself.
fn own() -> BTreeSet<String> {
    ["shop@shop".to_owned()].into()
}

/// The units of an answer in a state, by package.
fn in_state(answer: &Value, state: &str) -> BTreeSet<String> {
    let units = answer["crates"].as_array().unwrap().iter().filter(|unit| unit["state"] == state);
    units.map(|unit| unit["name"].as_str().unwrap().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_published_is_found_again_and_compiled_by_nobody() {
    let Some(shop) = Shop::new("what_was_published_is_found_again_and_compiled_by_nobody") else { return };
    // Nothing is there, nothing is placed, and that is no failure.
    let answer = shop.warm(&[]);
    assert_eq!((answer["placed"].as_u64(), answer["there"].as_u64()), (Some(0), Some(0)));
    let needed = answer["units"].as_u64().unwrap();
    assert_eq!(answer["missed"].as_u64(), Some(needed));
    assert!(!shop.target().exists());
    assert!(shop.build().len() > 8);

    let pushed = shop.warm(&["--push"]);
    let published = &pushed["published"][0];
    assert_eq!((published["units"].as_u64(), published["sent"].as_u64()), (Some(needed), Some(needed)), "{pushed:#}");
    assert_eq!(published["left_out"], Value::Array(Vec::new()));
    // What is there is not sent again.
    let again = shop.warm(&["--push"]);
    let again = &again["published"][0];
    assert_eq!((again["units"].as_u64(), again["sent"].as_u64()), (Some(needed), Some(0)));
    assert_eq!(again["bytes"], published["bytes"]);

    fs::remove_dir_all(shop.target()).unwrap();
    let answer = shop.warm(&[]);
    assert_eq!((answer["placed"].as_u64(), answer["missed"].as_u64()), (Some(needed), Some(0)), "{answer:#}");
    assert_eq!(answer["received_bytes"], published["bytes"]);
    assert_eq!(shop.build(), own());

    // A second time, nothing is touched.
    let before = tree(&shop.target());
    let answer = shop.warm(&[]);
    assert_eq!((answer["there"].as_u64(), answer["received_bytes"].as_u64()), (Some(needed), Some(0)));
    assert_eq!(tree(&shop.target()), before);
    assert_eq!(shop.build(), BTreeSet::new());

    // A change of features: only what depends on them is missed.
    shop.dependencies(
        "anyhow = { version = \"1\", default-features = false }\nitoa = \"1\"\nserde = { version = \"1\", features = [\"derive\", \"rc\"] }\n",
    );
    fs::remove_dir_all(shop.target()).unwrap();
    let answer = shop.warm(&[]);
    let missed = in_state(&answer, "missed");
    assert_eq!(missed, names(&["anyhow", "serde", "serde_core"]), "{answer:#}");
    let compiled: BTreeSet<String> =
        shop.build().iter().map(|unit| unit.split('@').nth(1).unwrap().to_owned()).collect();
    assert_eq!(compiled, names(&["anyhow", "serde", "serde_core", "shop"]));
}

#[test]
fn what_is_missing_among_what_is_there_is_placed_where_cargo_takes_it() {
    let Some(shop) = Shop::new("what_is_missing_among_what_is_there_is_placed_where_cargo_takes_it") else { return };
    shop.build();
    shop.warm(&["--push"]);
    // What only the project itself is made with. serde is made with what was compiled here, and must not be older.
    for package in ["shop", "serde", "itoa"] {
        shop.cargo(&["clean", "--locked", "-p", package]).unwrap();
    }
    let answer = shop.warm(&[]);
    assert_eq!(in_state(&answer, "placed"), names(&["itoa", "serde"]), "{answer:#}");
    assert_eq!(in_state(&answer, "missed"), BTreeSet::new());
    assert_eq!(shop.build(), own());
    // serde_derive is there, and was made with the one that is gone: cargo compiles both.
    shop.cargo(&["clean", "--locked", "-p", "syn"]).unwrap();
    let answer = shop.warm(&[]);
    assert_eq!(in_state(&answer, "missed"), names(&["syn"]), "{answer:#}");
    assert_eq!(in_state(&answer, "placed"), BTreeSet::new());
    let compiled = shop.build();
    assert!(compiled.contains("syn@syn") && compiled.contains("serde_derive@serde_derive"), "{compiled:?}");
}

#[test]
fn two_at_once_fill_one_folder() {
    let Some(shop) = Shop::new("two_at_once_fill_one_folder") else { return };
    shop.build();
    let needed = shop.warm(&["--push"])["published"][0]["units"].as_u64().unwrap();
    fs::remove_dir_all(shop.target()).unwrap();
    let both = [shop.start(&[]), shop.start(&[])].map(|child| ran(child.wait_with_output().unwrap()));
    let mut placed = 0;
    for ran in both {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(answer["missed"].as_u64(), Some(0), "{answer:#}");
        placed += answer["placed"].as_u64().unwrap();
    }
    assert_eq!(placed, needed);
    assert_eq!(shop.build(), own());
}

#[test]
fn one_that_is_killed_leaves_what_the_next_one_goes_on_with() {
    let Some(shop) = Shop::new("one_that_is_killed_leaves_what_the_next_one_goes_on_with") else { return };
    shop.build();
    let needed = shop.warm(&["--push"])["published"][0]["units"].as_u64().unwrap();
    // At whatever moment it is killed: before, within, after.
    for wait in [50, 200, 400, 800, 1600] {
        fs::remove_dir_all(shop.target()).unwrap();
        let mut child = shop.start(&["--jobs", "1"]);
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let answer = shop.warm(&[]);
        assert_eq!(answer["missed"].as_u64(), Some(0), "{answer:#}");
        assert_eq!(answer["placed"].as_u64().unwrap() + answer["there"].as_u64().unwrap(), needed);
        assert!(!shop.target().join(".lamina/staged").exists());
    }
    assert_eq!(shop.build(), own());
}

#[test]
fn an_environment_that_differs_is_said_and_nothing_is_placed() {
    let Some(shop) = Shop::new("an_environment_that_differs_is_said_and_nothing_is_placed") else { return };
    shop.build();
    shop.warm(&["--push"]);
    // The project's own are those of its environment: with other flags, there are none.
    shop.file("project/.cargo/config.toml", "[build]\nrustflags = [\"--cfg\", \"other\"]\n");
    let answer = shop.warm(&[]);
    assert_eq!((answer["placed"].as_u64(), answer["there"].as_u64()), (Some(0), Some(0)));
    assert_eq!(answer["sources"][0]["missing"], "it has published nothing");
}

#[test]
fn a_registry_that_is_down_fails_nothing() {
    let Some(shop) = Shop::new("a_registry_that_is_down_fails_nothing") else { return };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    shop.catalog(&closed);
    let ran = shop.lamina(&["--registry-retries", "0"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.starts_with("warning: ") && ran.stderr.contains("what is missing is compiled"), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["placed"].as_u64(), Some(0));
    let ran = shop.lamina(&["--registry-retries", "0", "--strict"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    // There is nothing to be pushed, and nowhere to.
    assert_eq!(shop.lamina(&["--registry-retries", "0", "--push"]).code, Some(1));
}
