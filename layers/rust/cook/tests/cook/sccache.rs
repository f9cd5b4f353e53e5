//! sccache below the cook, with real storage on this machine: hits and misses, what is kept secret, and storage that is
//! dead. Where a program is not here, its tests say so and end.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::shop::{Outcome, Shop, files, units};

/// A password that nothing but sccache's server may see. Build scripts of the shop fail where they see it.
const PASSWORD: &str = "open-sesame";

/// A server on this machine. It ends with this value.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// The program that a variable names, listening on a port of its own; None, and a word about it, where there is none.
    fn start(variable: &str, arguments: impl Fn(u16) -> Vec<String>) -> Option<Server> {
        let Some(program) = env::var_os(variable) else {
            eprintln!("skipped: {variable} names no program");
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut command = Command::new(program);
        command.args(arguments(port)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server { child: command.spawn().expect("the server runs"), port };
        // Ten minutes: a machine may be busy.
        for _ in 0..12_000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the server of {variable} does not listen");
    }

    fn redis(folder: &Shop) -> Option<Server> {
        let folder = folder.path("");
        Server::start("LAMINA_TEST_REDIS", |port| {
            let words = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD];
            let folder = ["--dir", folder.to_str().expect("a text")];
            words.into_iter().chain(folder).map(str::to_owned).collect()
        })
    }

    fn s3() -> Option<Server> {
        Server::start("LAMINA_TEST_S3", |port| vec!["-H127.0.0.1".to_owned(), format!("-p{port}")])
    }

    fn webdav(folder: &Shop) -> Option<Server> {
        let root = folder.path("storage");
        fs::create_dir(&root).expect("a folder");
        let words = format!("--host=127.0.0.1 --auth=anonymous --root={}", root.display());
        Server::start("LAMINA_TEST_WEBDAV", |port| {
            words.split(' ').map(str::to_owned).chain([format!("--port={port}")]).collect()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A shop whose cooks find sccache; None, and a word about it, where there is none with remote storage.
fn shop() -> Option<Shop> {
    let Some(sccache) = env::var_os("LAMINA_TEST_SCCACHE").map(PathBuf::from) else {
        eprintln!("skipped: LAMINA_TEST_SCCACHE names no sccache");
        return None;
    };
    let mut shop = Shop::new();
    let folder = sccache.parent().expect("a folder").as_os_str().to_owned();
    let path: OsString = [folder, env::var_os("PATH").unwrap_or_default()].join(":".as_ref());
    shop.variable("PATH", path.to_str().expect("a text"));
    let settings = shop.path("settings");
    shop.variable("LAMINA_COOK_SCCACHE_SETTINGS", settings.to_str().expect("a text"));
    Some(shop)
}

/// Cooks from nothing.
fn cook(shop: &Shop) -> Outcome {
    drop(fs::remove_dir_all(shop.path("root/cooked")));
    shop.cook("p", "project", &["--", "--offline"]).success()
}

/// What a cook says that sccache did.
fn said(outcome: &Outcome) -> Value {
    let line = outcome.stderr.lines().find_map(|line| line.strip_prefix("lamina-cook: sccache "));
    serde_json::from_str(line.unwrap_or_else(|| panic!("nothing of sccache: {}", outcome.stderr))).expect("JSON")
}

/// Cooks twice: what was compiled is there then, and the same.
#[track_caller]
fn hits_what_it_has_missed(shop: &Shop, backend: &str) {
    let first = cook(shop);
    let before = units(&shop.manifest("p"), 0);
    let missed = said(&first);
    assert_eq!((&missed["backend"], &missed["hits"], &missed["off"]), (&backend.into(), &0.into(), &Value::Null));
    assert!(missed["misses"].as_u64() > Some(0), "{missed}");
    let second = cook(shop);
    let hit = said(&second);
    assert_eq!((&hit["hits"], &hit["misses"], &hit["errors"]), (&missed["misses"], &0.into(), &0.into()), "{hit}");
    assert_eq!(units(&shop.manifest("p"), 0), before);
    for outcome in [first, second] {
        assert!(!outcome.stderr.contains(PASSWORD), "{}", outcome.stderr);
    }
    for path in files(&shop.path("root/cooked")) {
        let bytes = fs::read(&path).expect("a file");
        let seen = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!seen, "{} has the password", path.display());
    }
}

#[test]
fn what_redis_has_is_not_compiled_again_and_a_reader_leaves_nothing() {
    let Some(shop) = shop() else { return };
    let Some(redis) = Server::redis(&shop) else { return };
    let settings = format!(
        "SCCACHE_REDIS_ENDPOINT='redis://127.0.0.1:{}'\nSCCACHE_REDIS_KEY_PREFIX='ci/shop'\n\
         SCCACHE_REDIS_PASSWORD={PASSWORD}\n",
        redis.port
    );
    shop.write("settings", &format!("{settings}SCCACHE_REDIS_RW_MODE='READ_ONLY'\n"));
    let nothing = said(&cook(&shop));
    assert_eq!((&nothing["hits"], &nothing["errors"]), (&0.into(), &0.into()), "{nothing}");
    shop.write("settings", &settings);
    hits_what_it_has_missed(&shop, "redis");
    // Now the reader finds what is there.
    shop.write("settings", &format!("{settings}SCCACHE_REDIS_RW_MODE='READ_ONLY'\n"));
    assert_eq!(said(&cook(&shop))["misses"], 0);
}

#[test]
fn what_s3_has_is_not_compiled_again() {
    let Some(shop) = shop() else { return };
    let Some(s3) = Server::s3() else { return };
    let mut bucket = TcpStream::connect(("127.0.0.1", s3.port)).expect("the server listens");
    let request = format!(
        "PUT /crates HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        s3.port
    );
    bucket.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    bucket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let endpoint = format!("http://127.0.0.1:{}", s3.port);
    shop.write(
        "settings",
        &format!(
            "SCCACHE_BUCKET='crates'\nSCCACHE_ENDPOINT='{endpoint}'\nSCCACHE_REGION='us-east-1'\n\
             SCCACHE_S3_KEY_PREFIX='team/ci/shop'\nSCCACHE_S3_RW_MODE='READ_WRITE'\n\
             AWS_ACCESS_KEY_ID=me\nAWS_SECRET_ACCESS_KEY={PASSWORD}\n"
        ),
    );
    hits_what_it_has_missed(&shop, "s3");
}

#[test]
fn what_webdav_has_is_not_compiled_again() {
    let Some(shop) = shop() else { return };
    let Some(webdav) = Server::webdav(&shop) else { return };
    let settings =
        format!("SCCACHE_WEBDAV_ENDPOINT='http://127.0.0.1:{}'\nSCCACHE_WEBDAV_KEY_PREFIX='ci/shop'\n", webdav.port);
    shop.write("settings", &settings);
    hits_what_it_has_missed(&shop, "webdav");
}

#[test]
fn a_folder_keeps_crates_for_cooks_and_for_other_commands() {
    let Some(shop) = shop() else { return };
    let folder = shop.path("storage");
    shop.write("settings", &format!("SCCACHE_DIR='{}'\n", folder.display()));
    hits_what_it_has_missed(&shop, "local");
    let build = |target: &str| {
        let words = ["--run", env!("CARGO"), "build", "--release", "--offline", "--target-dir", target];
        shop.call("project", &words).success()
    };
    let target = shop.path("run");
    let target = target.to_str().expect("a text");
    assert!(said(&build(target))["misses"].as_u64() > Some(0));
    fs::remove_dir_all(target).expect("removed");
    assert_eq!(said(&build(target))["misses"], 0);
    let failed = shop.call("project", &["--run", env!("CARGO"), "no-such-command"]);
    assert_eq!(failed.code, Some(101), "{}", failed.stderr);
}

/// Passes on what client and server say, until the client has asked for so many keys; then it says nothing any more.
fn falls_silent(server: u16, after: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            let mut upstream = TcpStream::connect(("127.0.0.1", server)).expect("the server listens");
            let (mut answers, mut to_client) =
                (upstream.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            thread::spawn(move || std::io::copy(&mut answers, &mut to_client));
            let asked = Arc::clone(&asked);
            thread::spawn(move || {
                let mut bytes = [0; 1 << 16];
                while let Ok(length @ 1..) = client.read(&mut bytes) {
                    let gets = bytes[..length].windows(7).filter(|window| window == b"$3\r\nGET").count();
                    if asked.fetch_add(gets, Ordering::SeqCst) + gets > after {
                        // Both stay open, and nothing comes.
                        thread::sleep(Duration::from_secs(3600));
                    }
                    upstream.write_all(&bytes[..length]).expect("sent");
                }
                drop(upstream.shutdown(Shutdown::Both));
            });
        }
    });
    port
}

#[test]
fn storage_that_is_dead_or_dies_fails_nothing() {
    let Some(healthy) = shop() else { return };
    let Some(redis) = Server::redis(&healthy) else { return };
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    thread::scope(|scope| {
        for port in [closed, silent_port, falls_silent(redis.port, 3)] {
            scope.spawn(move || {
                let shop = shop().expect("sccache is here");
                shop.write(
                    "settings",
                    &format!("SCCACHE_REDIS_ENDPOINT='redis://127.0.0.1:{port}'\nSCCACHE_REDIS_PASSWORD={PASSWORD}\n"),
                );
                let outcome = cook(&shop);
                assert!(said(&outcome)["off"].is_string(), "{}", outcome.stderr);
                assert!(!outcome.stderr.contains(PASSWORD), "{}", outcome.stderr);
                assert_eq!(units(&shop.manifest("p"), 0).len(), 11);
            });
        }
    });
}
