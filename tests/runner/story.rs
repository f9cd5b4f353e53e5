//! lamina itself on leased runners: a build, and what is left when it is killed in the middle of one.

use std::fs;

use lamina::model::{ProviderKind, SshHost};
use rustix::process::Signal;
use serde_json::Value;

use crate::contract::{container, process};
use crate::leftovers;
use crate::shop::{Shop, layer, runs, until};
use crate::sshd::Sshd;

/// A catalog whose table has a row `leased`.
fn shop(test: &str, kind: &ProviderKind) -> Option<Shop> {
    let shop = Shop::new(test)?;
    let provider = match kind {
        ProviderKind::Process { .. } => "'process {}".to_owned(),
        ProviderKind::Container { image: Some(image), .. } => {
            format!("'container {{ image = \"{image}\", network = \"host\" }}")
        }
        ProviderKind::Ssh { hosts, known_hosts: Some(known), identity: Some(identity) } => {
            let host = |host: &SshHost| format!("{{ host = \"{}\", engine = \"{}\" }}", host.host, host.engine);
            let hosts: Vec<String> = hosts.iter().map(host).collect();
            let hosts = hosts.join(", ");
            format!("'ssh {{ hosts = [{hosts}], known_hosts = \"{known}\", identity = \"{identity}\" }}")
        }
        other => panic!("{other:?}"),
    };
    let file = shop.root().join("catalog/catalog.ncl");
    let text = fs::read_to_string(&file).unwrap();
    let row = format!("runners = [{{ name = \"leased\", provider = {provider} }}],\n}} | Catalog");
    fs::write(&file, text.replace("} | Catalog", &row)).unwrap();
    Some(shop)
}

fn builds(test: &str, kind: &ProviderKind) {
    let Some(shop) = shop(test, kind) else { return };
    shop.layer("base", "", "RUN echo done >/done", "").layer("app", "base", "RUN cat /done", "").lock();
    let (code, report) = shop.build(&["--all", "--runner", "leased"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(layer(&report, "app")["outcome"], "succeeded", "{report:#}");
    let events = shop.events();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let (leased, released) = (of("leased"), of("released"));
    assert_eq!((leased.len(), released.len()), (2, 2), "{events:#?}");
    for event in &released {
        assert_eq!(event["trouble"], Value::Null, "{event:#}");
        leftovers::none(event["lease"].as_str().unwrap(), &shop.beside("state/lamina"));
    }
    let listed: Value = serde_json::from_str(&shop.run(&["runners", "--format", "json"]).stdout).unwrap();
    assert_eq!((&listed["leases"], &listed["sources"][0]["name"]), (&Value::Array(vec![]), &"leased".into()));
}

fn is_killed(test: &str, kind: &ProviderKind) {
    let Some(shop) = shop(test, kind) else { return };
    // A number that no other process sleeps for.
    let word = format!("4{}{}", std::process::id(), shop.unique.len());
    shop.layer("slow", "", &format!("RUN sleep {word}"), "").lock();
    let mut running = shop.start(&["build", "--all", "--runner", "leased", "--progress", "plain"]);
    until("the step runs", || {
        assert!(!running.is_over(), "it ended");
        runs(&word)
    });
    let listed =
        |shop: &Shop| -> Value { serde_json::from_str(&shop.run(&["runners", "--format", "json"]).stdout).unwrap() };
    let lease = listed(&shop)["leases"][0].clone();
    assert_eq!((&lease["stale"], &lease["owner"]["state"]), (&false.into(), &"running".into()), "{lease:#}");
    let name = lease["lease"].as_str().unwrap();
    // What is built on is not taken away, neither by itself nor by its name.
    assert_eq!(shop.run(&["runners", "prune"]).code, Some(0));
    let refused = shop.run(&["runners", "prune", name]);
    assert!(refused.code == Some(1) && refused.stdout.contains("builds on it"), "{refused:?}");
    assert!(runs(&word));

    running.signal(Signal::KILL);
    until("lamina is gone", || running.is_over());
    // Its client is gone with it, and the build with its client; or all of it at once.
    until("the step is gone", || !runs(&word));
    let lease = listed(&shop)["leases"][0].clone();
    assert_eq!((&lease["stale"], &lease["owner"]["state"]), (&true.into(), &"ended".into()), "{lease:#}");
    // The record is enough; the row is not needed.
    shop.catalog(&shop.registry);
    let pruned = shop.run(&["runners", "prune", "--format", "json"]);
    assert_eq!(pruned.code, Some(0), "{pruned:?}");
    let answer: Value = serde_json::from_str(&pruned.stdout).unwrap();
    assert_eq!(answer["released"][0]["lease"], name, "{answer:#}");
    leftovers::none(name, &shop.beside("state/lamina"));
    assert_eq!(listed(&shop)["leases"], Value::Array(vec![]));
    let again = shop.run(&["runners", "prune", name]);
    assert!(again.code == Some(0) && again.stderr.contains("not written down"), "{again:?}");
}

#[test]
fn a_build_on_processes() {
    let test = "a build on processes";
    process(test).inspect(|fixture| builds(test, &fixture.kind));
}

#[test]
fn a_build_on_containers() {
    let test = "a build on containers";
    container(test).inspect(|fixture| builds(test, &fixture.kind));
}

#[test]
fn a_build_on_a_host_over_ssh() {
    let test = "a build over ssh";
    Sshd::start(test).inspect(|sshd| builds(test, &sshd.kind(2)));
}

#[test]
fn killed_while_it_builds_over_ssh() {
    let test = "killed over ssh";
    Sshd::start(test).inspect(|sshd| is_killed(test, &sshd.kind(1)));
}

#[test]
fn killed_while_it_builds_on_a_process() {
    let test = "killed on a process";
    process(test).inspect(|fixture| is_killed(test, &fixture.kind));
}

#[test]
fn killed_while_it_builds_on_a_container() {
    let test = "killed on a container";
    container(test).inspect(|fixture| is_killed(test, &fixture.kind));
}
