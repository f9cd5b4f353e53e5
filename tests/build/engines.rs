//! Engines that are not there, or go.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::shop::{Shop, layer, runs, until};

#[test]
fn an_engine_that_can_not_be_reached_has_a_code_of_its_own() {
    let Some(mut shop) = Shop::new("an_engine_that_can_not_be_reached_has_a_code_of_its_own") else { return };
    shop.layer("it", "", "RUN true", "").lock();
    shop.env.insert("DOCKER_HOST".into(), format!("unix://{}", shop.beside("no.sock").display()).into());
    let (code, report) = shop.build(&["it", "--client", "buildx"]);
    assert_eq!((code, layer(&report, "it")["failure"]["kind"].as_str()), (Some(8), Some("engine")), "{report:#}");
    let tmp = shop.beside("tmp");
    shop.env.insert("PATH".into(), tmp.clone().into());
    // The plugin is found there without docker.
    shop.env.insert("DOCKER_CONFIG".into(), tmp.into());
    let ran = shop.run(&["build", "it", "--client", "buildctl"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(8), ""), "{ran:?}");
    assert!(ran.stderr.contains("there is no buildctl") && ran.stderr.contains("hint: "), "{}", ran.stderr);
}

/// A buildkitd of the test's own.
struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    /// One whose registry speaks plain HTTP; none, and a word about it, where there is no buildkitd.
    fn start(shop: &Shop, test: &str) -> Option<Self> {
        let folder = shop.beside("buildkit");
        fs::create_dir_all(&folder).unwrap();
        let address = format!("unix://{}/sock", folder.display());
        let config = format!("[registry.\"{}\"]\n  http = true\n", shop.registry);
        fs::write(folder.join("buildkitd.toml"), config).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new("buildkitd");
        command
            .arg("--root")
            .arg(folder.join("root"))
            .args(["--addr", &address])
            .arg("--config")
            .arg(folder.join("buildkitd.toml"));
        command.args(["--containerd-worker=false"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let Ok(child) = command.spawn() else {
            eprintln!("{test} is skipped: there is no buildkitd on PATH");
            return None;
        };
        let mut daemon = Self { child, address };
        let mut has_ended = false;
        until("buildkitd listens", || {
            // It wants rights that not everybody has.
            has_ended = daemon.child.try_wait().unwrap().is_some();
            let workers = Command::new("buildctl").args(["--addr", &daemon.address, "debug", "workers"]).output();
            has_ended || workers.is_ok_and(|output| output.status.success())
        });
        if has_ended {
            let log = fs::read_to_string(folder.join("log")).unwrap();
            eprintln!("{test} is skipped: buildkitd does not start: {log}");
            return None;
        }
        Some(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_engine_that_goes_fails_the_layer_after_another_attempt() {
    let test = "an_engine_that_goes_fails_the_layer_after_another_attempt";
    let Some(mut shop) = Shop::new(test) else { return };
    // A step of a killed daemon lives on, so it is a short one.
    let word = format!("20.{}", std::process::id());
    shop.layer("good", "", "RUN true", "").layer("slow", "good", &format!("RUN sleep {word}"), "").lock();
    let Some(mut daemon) = Daemon::start(&shop, test) else { return };
    shop.env.insert("BUILDKIT_HOST".into(), daemon.address.clone().into());
    let mut running = shop.start(&["build", "--all", "--format", "json", "--progress", "plain"]);
    until("the step runs", || {
        assert!(!running.is_over(), "it ended before its step began");
        runs(&word)
    });
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let ran = running.end();
    assert_eq!(ran.code, Some(8), "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let slow = layer(&report, "slow");
    assert_eq!((slow["failure"]["kind"].as_str(), slow["attempts"].as_u64()), (Some("engine"), Some(2)), "{slow:#}");
    assert_eq!(layer(&report, "good")["outcome"], "succeeded");
    // The step of the dead engine ends by itself.
    until("the step is gone", || !runs(&word));
    let Some(daemon) = Daemon::start(&shop, test) else { return };
    let (code, report) = shop.build(&["--all"]);
    assert_eq!((code, layer(&report, "good")["outcome"].as_str()), (Some(0), Some("up-to-date")), "{report:#}");
    drop(daemon);
}
