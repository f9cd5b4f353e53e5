//! Layers that fail: in a step, in a probe, in a hook, for want of time or of files.

use std::fs;

use serde_json::Value;

use crate::shop::{Shop, layer};

#[test]
fn a_failed_layer_stops_the_run_or_its_descendants_alone() {
    let Some(shop) = Shop::new("a_failed_layer_stops_the_run_or_its_descendants_alone") else { return };
    shop.layer("bad", "", "ENV A=1\nRUN echo this is said && \\\n  exit 37\nENV B=1", "")
        .layer("below-bad", "bad", "RUN true", "tags = [\"latest\"],")
        .layer("good", "", "RUN sleep 5", "tags = [\"latest\"],")
        .layer("on-good", "good", "RUN true", "")
        .lock();
    let (code, report) = shop.build(&["--all"]);
    assert_eq!((code, report["outcome"].as_str()), (Some(7), Some("failed")), "{report:#}");
    let bad = layer(&report, "bad");
    assert_eq!(bad["failure"]["kind"], "step");
    let step = &bad["failure"]["step"];
    assert_eq!((step["dockerfile"].as_str(), step["exit_code"].as_i64()), (Some("layers/bad/Dockerfile"), Some(37)));
    let own: Vec<&str> = step["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["failed"] == true)
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    assert_eq!(own, ["RUN echo this is said && \\", "  exit 37"], "{step:#}");
    assert_eq!(step["output"], serde_json::json!(["this is said"]));
    let log = fs::read_to_string(bad["failure"]["log"].as_str().unwrap()).unwrap();
    assert!(log.contains("this is said"), "{log}");
    // What ran was finished; nothing new was begun.
    assert_eq!(layer(&report, "good")["outcome"], "succeeded");
    let why = |report: &Value, name: &str| {
        let why = &layer(report, name)["not_started"];
        (why["code"].as_str().unwrap_or_default().to_owned(), why["layer"].as_str().unwrap_or_default().to_owned())
    };
    let because = |code: &str| (code.to_owned(), "bad".to_owned());
    assert_eq!(why(&report, "below-bad"), because("parent-failed"));
    assert_eq!(why(&report, "on-good"), because("run-failed"));
    assert!(!shop.tags("good").contains(&"latest".to_owned()), "not every layer is good");
    assert!(report["promotion"]["skipped"].is_string());

    let (code, report) = shop.build(&["--all", "--keep-going"]);
    assert_eq!(code, Some(7), "{report:#}");
    assert_eq!(layer(&report, "good")["outcome"], "up-to-date");
    assert_eq!(layer(&report, "on-good")["outcome"], "succeeded");
    assert_eq!(why(&report, "below-bad"), because("parent-failed"));
    assert!(layer(&report, "bad")["reason"].as_str().unwrap().contains("failed in"), "{report:#}");

    let ran = shop.run(&["build", "good", "--promote", "all"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        shop.tags("good").contains(&"latest".to_owned()),
        "a tag that lags behind is moved though nothing is built"
    );
}

#[test]
fn an_image_that_fails_its_proof_is_kept_and_not_promoted() {
    let Some(shop) = Shop::new("an_image_that_fails_its_proof_is_kept_and_not_promoted") else { return };
    let probe =
        "tools_provided = [{ name = \"it\", probe = [\"cat\", \"/it\"], version = \"2\" }],\n  tags = [\"latest\"],";
    shop.layer("it", "", "RUN echo 1 > /it", probe).layer("child", "it", "RUN true", "").lock();
    let (code, report) = shop.build(&["--all", "--promote", "each"]);
    assert_eq!(code, Some(7), "{report:#}");
    let it = layer(&report, "it");
    assert_eq!((it["failure"]["kind"].as_str(), it["probes"][0]["what"].as_str()), (Some("proof"), Some("it")));
    assert!(it["probes"][0]["wrong"].is_string(), "{it:#}");
    assert_eq!(layer(&report, "child")["not_started"]["code"], "parent-failed");
    let tags = shop.tags("it");
    assert!(tags.len() == 1 && tags[0].starts_with("fp-"), "{tags:?}");
    let plan = shop.run(&["plan", "it"]);
    assert!(plan.stdout.starts_with("prove"), "{plan:?}");
}

#[test]
fn hooks_run_beside_a_build() {
    let Some(mut shop) = Shop::new("hooks_run_beside_a_build") else { return };
    shop.env.insert("LAMINA_SECRET_OTHER".into(), "not-to-be-seen".into());
    shop.env.insert("OTHER".into(), "not-to-be-seen".into());
    shop.env.insert("MINE".into(), "named".into());
    let out = shop.beside("tmp").join("hook");
    let out = out.display();
    let good = format!(
        "hooks = {{
           pre_build = [{{ command = [\"sh\", \"-c\", \"cat > {out}; pwd >> {out}; env >> {out}; echo said >&2\"], env = [\"MINE\"] }}],
           post_build = [{{ command = [\"sh\", \"-c\", \"cat > {out}.post; exit 3\"] }}],
         }},"
    );
    shop.layer("good", "", "RUN true", &good)
        .layer(
            "bad",
            "",
            "RUN true",
            "hooks = { pre_build = [{ command = [\"sh\", \"-c\", \"echo why >&2; exit 4\"] }] },",
        )
        .lock();
    let (code, report) = shop.build(&["good", "--workspace", "pr-7"]);
    assert_eq!(code, Some(0), "{report:#}");
    let wrote = fs::read_to_string(shop.beside("tmp").join("hook")).unwrap();
    let (told, rest) = wrote.split_once("}").unwrap();
    let told: serde_json::Value = serde_json::from_str(&format!("{told}}}")).unwrap();
    let folder = rest.lines().next().unwrap();
    assert!(folder.ends_with("/layers/good") && !rest.contains("not-to-be-seen"), "{rest}");
    assert!(rest.contains("\nPATH=") && rest.contains("\nHOME=") && rest.contains("\nMINE=named\n"), "{rest}");
    assert_eq!((&told["event"], &told["layer"], &told["digest"]), (&"pre-build".into(), &"good".into(), &Value::Null));
    assert_eq!((&told["version"], &told["workspace"], &told["folder"]), (&1.into(), &"pr-7".into(), &folder.into()));
    let after: Value = serde_json::from_str(&fs::read_to_string(format!("{out}.post")).unwrap()).unwrap();
    assert_eq!((&after["event"], &after["digest"]), (&"post-build".into(), &layer(&report, "good")["digest"]));
    let lines: Vec<Value> = shop.events().into_iter().filter(|event| event["event"] == "output").collect();
    assert!(lines.iter().any(|event| event["line"] == "said"), "{lines:#?}");
    let warning = report["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("exit code 3"), "{warning}");
    let (code, report) = shop.build(&["bad"]);
    assert_eq!(code, Some(7));
    let failure = &layer(&report, "bad")["failure"];
    assert_eq!((failure["kind"].as_str(), &failure["step"]["output"]), (Some("hook"), &serde_json::json!(["why"])));
    assert_eq!(shop.tags("bad"), Vec::<String>::new());
}

#[test]
fn a_file_that_changes_while_lamina_runs_is_not_built() {
    let Some(shop) = Shop::new("a_file_that_changes_while_lamina_runs_is_not_built") else { return };
    shop.layer(
        "it",
        "",
        "RUN true",
        "hooks = { pre_build = [{ command = [\"sh\", \"-c\", \"echo more >> stamp\"] }] },",
    )
    .lock();
    let (code, report) = shop.build(&["it"]);
    assert_eq!((code, layer(&report, "it")["failure"]["kind"].as_str()), (Some(7), Some("moved")), "{report:#}");
    assert_eq!(shop.tags("it"), Vec::<String>::new());
}

#[test]
fn a_build_that_takes_too_long_is_ended() {
    let Some(shop) = Shop::new("a_build_that_takes_too_long_is_ended") else { return };
    // A number that no other sleep has.
    let word = format!("1{}.5", std::process::id());
    let budget = "build.resources = { cpu = 1, memory_mb = 64, disk_mb = 64, time_budget_min = 1 },";
    shop.layer("slow", "", &format!("RUN sleep {word}"), budget).lock();
    let (code, report) = shop.build(&["slow"]);
    assert_eq!((code, layer(&report, "slow")["failure"]["kind"].as_str()), (Some(7), Some("timed-out")), "{report:#}");
    crate::shop::until("the step is gone", || !crate::shop::runs(&word));
}
