//! sccache below a layer that is cooked, with a Redis on this machine: what CI has compiled is there for others, who leave
//! nothing, and the report says what sccache did.
//!
//! The programs are those of LAMINA_TEST_SCCACHE (with remote storage) and LAMINA_TEST_REDIS; RUN steps reach this
//! machine's loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::kitchen::{Cooked, Kitchen};
use crate::shop::layer;

const PASSWORD: &str = "open-sesame";

/// It ends with this value.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn used(cooked: &Cooked) -> &Value {
    &layer(&cooked.report, "web")["sccache"]
}

#[test]
fn what_ci_has_compiled_is_there_for_others_who_leave_nothing() {
    let test = "what_ci_has_compiled_is_there_for_others_who_leave_nothing";
    let programs = ["LAMINA_TEST_SCCACHE", "LAMINA_TEST_REDIS"].map(std::env::var_os);
    let [Some(sccache), Some(redis)] = programs else {
        eprintln!("{test} is skipped: LAMINA_TEST_SCCACHE and LAMINA_TEST_REDIS name no programs");
        return;
    };
    let Some(mut kitchen) = Kitchen::new(test) else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(redis);
    command.args(["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD, "--port", &port.to_string()]);
    let _redis = Redis(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let listens = |_| {
        thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    };
    assert!((0..12_000).any(listens), "Redis does not listen");

    let change = |path: &str, from: &str, to: &str| {
        let text = fs::read_to_string(kitchen.shop.root().join(path)).unwrap();
        assert!(text.contains(from), "{text}");
        kitchen.shop.file(path, &text.replacen(from, to, 1));
    };
    let backend = format!("sccache.backend = 'redis {{ endpoint = \"redis://127.0.0.1:{port}\" }},\n  plain_http");
    change("catalog/catalog.ncl", "plain_http", &backend);
    let build = "cooked = {},\n  build = { network = 'host, secrets = [{ id = \"sccache_creds\" }] }";
    change("layers/web/workflow.ncl", "cooked = {}", build);
    change("layers/web/Dockerfile", "COPY set", "COPY sccache /usr/local/bin/\nCOPY set");
    change("layers/web/Dockerfile", "cd /cooked/web", "--mount=type=secret,id=sccache_creds \\\n    cd /cooked/web");
    fs::copy(sccache, kitchen.shop.root().join("layers/web/sccache")).unwrap();
    let credentials = format!("SCCACHE_REDIS_PASSWORD={PASSWORD}\n");
    kitchen.shop.env.insert("LAMINA_SECRET_SCCACHE_CREDS".into(), credentials.into());

    let cook = |actor: &str, why: &str| {
        kitchen.shop.file("layers/web/set/src/lib.rs", &format!("// {why}\n"));
        let cooked = kitchen.cook(&["--clean", "--actor", actor]);
        assert!(!cooked.log.contains(PASSWORD) && !cooked.report.to_string().contains(PASSWORD), "{}", cooked.log);
        cooked
    };
    let nothing = cook("human:ann", "a person, before CI");
    let missed = used(&nothing)["misses"].as_u64().unwrap();
    assert!(missed > 0, "{}", used(&nothing));
    let first = cook("ci", "CI finds nothing of it");
    assert_eq!((&used(&first)["backend"], &used(&first)["hits"]), (&"redis".into(), &0.into()), "{}", used(&first));
    let second = cook("human:ann", "a person, after CI");
    // All but the set itself, which has another line.
    let told = (&used(&second)["hits"], &used(&second)["misses"], &used(&second)["off"]);
    assert_eq!(told, (&(missed - 1).into(), &1.into(), &Value::Null), "{}", second.log);
    assert_eq!(second.units(), first.units());
}
