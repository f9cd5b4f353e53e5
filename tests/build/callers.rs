//! Who starts a build and who hears of it: events on a NATS, hooks that have a say, directives.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use futures_util::StreamExt;
use serde_json::Value;

use crate::shop::{HANGS, Shop, layer, runs, until};

/// What a workspace is told, as event and message.
fn listen(url: &str, workspace: &str) -> impl FnMut() -> (String, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut subscriber = runtime.block_on(async {
        let client = async_nats::connect(url).await.unwrap();
        let subscriber = client.subscribe(format!("lamina.{workspace}.build.*")).await.unwrap();
        client.flush().await.unwrap();
        // The server answers in order: what is asked after the subscription is answered after it.
        client.request("nobody.listens.here", "".into()).await.unwrap_err();
        subscriber
    });
    move || {
        let message = runtime.block_on(async { tokio::time::timeout(HANGS, subscriber.next()).await });
        let message = message.expect("a message").unwrap();
        let event = message.subject.rsplit('.').next().unwrap().to_owned();
        (event, serde_json::from_slice(&message.payload).unwrap())
    }
}

/// Names the workspace after the shop, which is what nobody else is called.
fn in_own_workspace(shop: &Shop) {
    let text = fs::read_to_string(shop.root().join("catalog/catalog.ncl")).unwrap();
    let events = format!("events.workspace = \"{}\",\n}} | Catalog", shop.unique);
    shop.file("catalog/catalog.ncl", &text.replace("} | Catalog", &events));
}

#[test]
fn a_subscriber_hears_of_a_build_in_order() {
    let Some(shop) = Shop::new("a_subscriber_hears_of_a_build_in_order") else { return };
    let Ok(url) = std::env::var("LAMINA_LAB_NATS") else {
        return eprintln!("a_subscriber_hears_of_a_build_in_order is skipped: LAMINA_LAB_NATS names no server");
    };
    in_own_workspace(&shop);
    shop.layer("good", "", "RUN true", "")
        .layer("bad", "good", "RUN false", "")
        .layer("below", "bad", "RUN true", "")
        .lock();
    let mut next = listen(&url, &shop.unique);
    let (code, report) = shop.build(&["--all", "--events-url", &url]);
    assert_eq!(code, Some(7), "{report:#}");
    let told: Vec<(String, Value)> = (0..7).map(|_| next()).collect();
    let brief: Vec<(&str, &str)> =
        told.iter().map(|(event, message)| (event.as_str(), message["layer"].as_str().unwrap_or("run"))).collect();
    let expected = [
        ("started", "run"),
        ("started", "good"),
        ("completed", "good"),
        ("started", "bad"),
        ("failed", "bad"),
        ("skipped", "below"),
        ("failed", "run"),
    ];
    assert_eq!(brief, expected, "{told:#?}");
    let seq: Vec<u64> = told.iter().map(|(_, message)| message["seq"].as_u64().unwrap()).collect();
    assert!(seq.iter().copied().eq(0..7), "{seq:?}");
    assert_eq!(told[2].1["digest"], layer(&report, "good")["digest"]);
    assert_eq!((&told[4].1["failure"], &told[0].1["run"]), (&"step".into(), &report["run"]));
}

/// An own server at a free port; none, and a word about it, where nats-server is missing.
fn server(test: &str) -> Option<(std::process::Child, String)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = |program: &str| {
        let mut command = Command::new(program);
        let command = command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
    };
    let Some(child) = ["/usr/sbin/nats-server", "nats-server"].into_iter().find_map(start) else {
        eprintln!("{test} is skipped: there is no nats-server");
        return None;
    };
    until("nats-server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    Some((child, format!("nats://127.0.0.1:{port}")))
}

#[test]
fn a_nats_that_dies_or_hangs_fails_no_build() {
    let test = "a_nats_that_dies_or_hangs_fails_no_build";
    let Some(shop) = Shop::new(test) else { return };
    // As much as what a catalog says of itself.
    let mine = ["--workspace", &shop.unique, "--promote", "none"];
    // A number that no other sleep has.
    let word = format!("5.{}", std::process::id());
    shop.layer("it", "", &format!("RUN sleep {word}"), "").layer("next", "it", "RUN true", "").lock();
    // One that takes connections and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    thread::spawn(move || silent.incoming().filter_map(Result::ok).collect::<Vec<TcpStream>>());
    let ran = shop.run(&[&["build", "it", "--events-url", &url], &mine[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("warning: 4 of 4 events did not reach nats://127.0.0.1:"), "{ran:?}");
    // One that dies while a step runs.
    let Some((mut child, url)) = server(test) else { return };
    let mut next = listen(&url, &shop.unique);
    let running = shop.start(&[&["build", "--all", "--force", "--events-url", &url], &mine[..]].concat());
    until("the step runs", || runs(&word));
    assert_eq!(["started", "started"], [next().0, next().0]);
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("events did not reach") && ran.stderr.matches("warning: ").count() == 1, "{ran:?}");
    assert_eq!(shop.events().last().unwrap()["event"], "run-finished");
}

/// A copy of an example hook beside the layer, and the fields that declare it.
fn gate(shop: &Shop, layer: &str, program: &[&str], example: &str) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hooks").join(example);
    fs::create_dir_all(shop.root().join("layers").join(layer)).unwrap();
    fs::copy(from, shop.root().join("layers").join(layer).join(example)).unwrap();
    let words: Vec<String> = program.iter().chain([&example]).map(|word| format!("\"{word}\"")).collect();
    format!(
        "tags = [\"latest\"], hooks.pre_promote = [{{ command = [{}], timeout_s = 30 }}],",
        words.join(", ").replace(&format!("\"{example}\""), &format!("\"./{example}\""))
    )
}

#[test]
fn a_hook_keeps_tags_where_they_are() {
    let Some(shop) = Shop::new("a_hook_keeps_tags_where_they_are") else { return };
    let mut layers = vec!["shell"];
    let fields = gate(&shop, "shell", &[], "gate.sh");
    shop.layer("shell", "", "RUN true", &fields);
    match Command::new("nu").arg("--version").output() {
        Ok(_) => {
            let fields = gate(&shop, "nushell", &["nu"], "gate.nu");
            shop.layer("nushell", "", "RUN true", &fields);
            layers.push("nushell");
        }
        Err(_) => eprintln!("the hook in Nushell is skipped: there is no nu on PATH"),
    }
    shop.layer("free", "", "RUN true", "tags = [\"latest\"],").lock();
    // The first of the runs builds, the second one finds all up to date.
    for promote in ["each", "all"] {
        for name in &layers {
            shop.file(&format!("layers/{name}/FREEZE"), "").file(&format!("layers/{name}/.dockerignore"), "FREEZE\n");
        }
        let (code, report) = shop.build(&["--all", "--promote", promote]);
        assert_eq!((code, report["outcome"].as_str()), (Some(7), Some("failed")), "{report:#}");
        for name in &layers {
            assert!(layer(&report, name)["failure"].is_null(), "{report:#}");
            assert_eq!(shop.digest(name, "latest"), None);
        }
        assert!(report.to_string().contains("is frozen"), "{report:#}");
        assert!(shop.digest("free", "latest").is_some());
        let said = |event: &Value| event["line"].as_str().is_some_and(|line| line.starts_with("asked about shell"));
        assert!(shop.events().iter().any(said), "what it says for people is its output");
    }
    for name in &layers {
        fs::remove_file(shop.root().join(format!("layers/{name}/FREEZE"))).unwrap();
    }
    let (code, report) = shop.build(&["--all"]);
    assert_eq!(code, Some(0), "{report:#}");
    for name in &layers {
        assert!(shop.digest(name, "latest").is_some());
    }
}

#[test]
fn a_hook_has_its_time_and_its_answer() {
    let Some(shop) = Shop::new("a_hook_has_its_time_and_its_answer") else { return };
    let word = format!("6{}.25", std::process::id());
    let hook =
        |script: &str| format!("hooks.pre_build = [{{ command = [\"sh\", \"-c\", \"{script}\"], timeout_s = 1 }}],");
    shop.layer("late", "", "RUN true", &hook(&format!("trap '' INT TERM; sleep {word} & wait; true")))
        .layer("no", "", "RUN true", &hook("echo '{ \\\"ok\\\": false, \\\"message\\\": \\\"not today\\\" }'"))
        .layer("chat", "", "RUN true", &hook("echo done"))
        .layer("deaf", "", "RUN true", &hook("exec <&-; true"))
        .lock();
    let (code, report) = shop.build(&["--all", "--keep-going"]);
    assert_eq!(code, Some(7), "{report:#}");
    for (name, why) in
        [("late", "it was not done after 1 s"), ("no", "not today"), ("chat", "its answer on stdout can't be read")]
    {
        let failure = &layer(&report, name)["failure"];
        assert_eq!(failure["kind"], "hook", "{failure:#}");
        assert!(failure["message"].as_str().unwrap().contains(why), "{failure:#}");
    }
    assert_eq!(layer(&report, "deaf")["outcome"], "succeeded");
    until("what the late hook has started is gone", || !runs(&word));
}

#[test]
fn directives_say_what_a_session_builds() {
    let Some(shop) = Shop::new("directives_say_what_a_session_builds") else { return };
    shop.layer("it", "", "RUN true", "tags = [\"latest\"],").layer("other", "", "RUN true", "").lock();
    let elsewhere = format!("{}-session", shop.unique);
    let directives = format!(
        "let {{ session, .. }} = import \"schemas/directives.ncl\" in\nsession {{ actor = \"agent:a7\", disposition = \
         'discard }} {{\n  layers.names = [\"it\"],\n  registry = {{ host = \"{}\", namespace = \"{elsewhere}\" }},\n  \
         compute.size = {{ cpu = 1, memory_mb = 512 }},\n}}\n",
        shop.registry
    );
    fs::write(shop.beside("tmp").join("session.ncl"), directives).unwrap();
    let file = shop.beside("tmp").join("session.ncl");
    let ran = shop.run(&["build", "other", "--directives", file.to_str().unwrap(), "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("LAYER gives way to the directives\n"), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["layers"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["workspace"]["namespace"], elsewhere.as_str());
    assert_eq!(report["promotion"]["tags"], serde_json::json!([]));
    // Nothing of it lies where the catalog's own images do.
    assert_eq!(shop.tags("it"), Vec::<String>::new());
}
