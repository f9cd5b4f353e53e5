//! An orchestrator that is slow, refuses, lies, loses its answer after it has leased, or dies.

use std::time::Duration;

use lamina::engine::Environment;
use lamina::runner::providers::orchestrator::Metrics;
use lamina::runner::providers::{Host, Orchestrator};
use lamina::runner::{Endpoint, Provider};
use tokio_util::sync::CancellationToken;

use crate::{Lab, TOKEN, client, host, record, told};

#[test]
fn a_lease_comes_and_goes() {
    let lab = Lab::new(1);
    let (client, mut first) = (lab.client(), record());
    let endpoint = lab.acquire(&client, &mut first).unwrap();
    assert_eq!(endpoint, Endpoint::Buildkit("tcp://10.0.0.1:1234".to_owned()));
    assert_eq!((lab.service.leased(), first.handle.as_deref()), (vec![first.lease.to_string()], Some("vm-1")));
    // Asked once more, for the answer may have been lost: it is the same lease.
    assert_eq!(lab.acquire(&client, &mut first.clone()).unwrap(), endpoint);
    assert_eq!(lab.service.times_leased(), 1);
    // There is one engine only.
    let full = lab.acquire(&client, &mut record()).unwrap_err();
    assert!(full.full && full.passing && told(&full).contains("429: all engines are taken"), "{full:?}");
    lab.release(&client, &first).unwrap();
    assert_eq!(lab.service.leased(), Vec::<String>::new());
    // Once more is no error; neither is what never was.
    lab.release(&client, &first).unwrap();
    lab.release(&client, &record()).unwrap();
    assert!(lab.acquire(&client, &mut record()).is_ok());
}

#[test]
fn an_answer_that_is_lost_after_the_lease_leaks_nothing() {
    let lab = Lab::new(2);
    let (client, mut lost) = (lab.client(), record());
    // Once: the second question gets the same lease.
    lab.misbehave("lease:lose");
    assert!(lab.acquire(&client, &mut lost).is_ok());
    assert_eq!(lab.service.times_leased(), 1);
    lab.release(&client, &lost).unwrap();
    // Every time: what was leased is released by what was written down before, which knows no lease_id.
    let mut lost = record();
    lab.misbehave("lease:lose*3");
    let error = lab.acquire(&client, &mut lost).unwrap_err();
    told(&error);
    assert_eq!((error.passing, &lost.handle, lab.service.leased().len()), (true, &None, 1));
    lab.release(&client, &lost).unwrap();
    assert_eq!(lab.service.leased(), Vec::<String>::new());
}

#[test]
fn a_question_that_arrives_after_its_end_leases_nothing() {
    let lab = Lab::new(1);
    let (client, mut late) = (lab.client(), record());
    lab.release(&client, &late).unwrap();
    let error = lab.acquire(&client, &mut late).unwrap_err();
    assert!(!error.passing && told(&error).contains("410"), "{error:?}");
    assert_eq!(lab.service.times_leased(), 0);
}

#[test]
fn a_release_whose_answer_is_lost_is_a_release() {
    let lab = Lab::new(1);
    let (client, mut record) = (lab.client(), record());
    lab.acquire(&client, &mut record).unwrap();
    lab.misbehave("release:lose");
    lab.release(&client, &record).unwrap();
    assert_eq!(lab.service.leased(), Vec::<String>::new());
}

#[test]
fn what_may_pass_is_asked_again_and_what_may_not_is_not() {
    let lab = Lab::new(1);
    let client = lab.client();
    for code in [429, 500, 502, 503, 504] {
        let mut record = record();
        lab.misbehave(&format!("lease:status={code}*2"));
        lab.acquire(&client, &mut record).unwrap();
        lab.misbehave(&format!("release:status={code}*2"));
        lab.release(&client, &record).unwrap();
        lab.misbehave(&format!("lease:status={code}*3"));
        let error = lab.acquire(&client, &mut record).unwrap_err();
        assert!(error.passing && told(&error).contains(&code.to_string()), "{error:?}");
        assert_eq!(error.full, code == 429);
    }
    for code in [400, 401, 403, 404, 409, 410, 418, 302] {
        let before = lab.service.exchanges().len();
        lab.misbehave(&format!("lease:status={code}"));
        let error = lab.acquire(&client, &mut record()).unwrap_err();
        assert!(!error.passing && told(&error).contains(&code.to_string()), "{error:?}");
        assert_eq!(lab.service.exchanges().len(), before + 1, "{code} is asked once");
    }
    assert_eq!(lab.service.leased(), Vec::<String>::new());
}

#[test]
fn an_orchestrator_that_is_slow_or_dies_is_given_up() {
    let lab = Lab::new(1);
    let (client, mut slow) = (lab.client(), record());
    lab.misbehave("lease:slow=1500*3");
    let error = lab.acquire(&client, &mut slow).unwrap_err();
    assert!(error.passing && told(&error).contains("no answer in 0.4 s"), "{error:?}");
    lab.release(&client, &slow).unwrap();
    // The questions that are still on their way find their key deleted.
    let is_lease = |exchange: &crate::service::Exchange| exchange.op == "lease";
    while lab.service.exchanges().into_iter().filter(is_lease).count() < 3 {
        lab.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    }
    assert_eq!(lab.service.leased(), Vec::<String>::new());
    // Who waits for it can be told to stop.
    lab.misbehave("lease:slow=5000");
    let cancel = CancellationToken::new();
    cancel.cancel();
    let asked = record();
    let cancelled = lab.runtime.block_on(client.acquire(&asked, &|_| Ok(()), &cancel)).unwrap_err();
    assert_eq!(cancelled.message, "cancelled");
    lab.misbehave("die");
    let dead = lab.acquire(&client, &mut record()).unwrap_err();
    assert!(dead.passing, "{dead:?}");
    let still = lab.release(&client, &slow).unwrap_err();
    assert!(still.passing && told(&still).starts_with("DELETE /api/v1/vm-pool/lamina-"), "{still:?}");
}

#[test]
fn an_orchestrator_that_is_down() {
    let nobody = client("http://127.0.0.1:1");
    let lab = Lab::new(0);
    let error = lab.acquire(&nobody, &mut record()).unwrap_err();
    assert!(error.passing && told(&error).contains("127.0.0.1:1: "), "{error:?}");
    assert!(lab.release(&nobody, &record()).unwrap_err().passing);
}

#[test]
fn an_orchestrator_that_lies() {
    let lab = Lab::new(1);
    let client = lab.client();
    let ready =
        |endpoint: &str| format!(r#"lease:lie={{"lease_id": "vm-7", "state": "ready", "endpoint": {endpoint}}}"#);
    for lie in [
        "lease:lie=".to_owned(),
        "lease:lie=[]".to_owned(),
        "lease:lie=<html>".to_owned(),
        r#"lease:lie={"lease_id": "", "state": "ready", "endpoint": {"buildkit": "tcp://a:1"}}"#.to_owned(),
        r#"lease:lie={"lease_id": "a\nb", "state": "ready", "endpoint": {"buildkit": "tcp://a:1"}}"#.to_owned(),
        r#"lease:lie={"lease_id": "vm-7", "state": "ready"}"#.to_owned(),
        r#"lease:lie={"lease_id": "vm-7", "state": "gone"}"#.to_owned(),
        ready(r#"{"buildkit": "docker-container://x"}"#),
        ready(r#"{"buildkit": "kube-pod://x"}"#),
        ready(r#"{"buildkit": "ssh://-oProxyCommand=x"}"#),
        ready(r#"{"buildkit": "tcp://user:pw@10.0.0.1:1234"}"#),
        ready(r#"{"buildkit": "tcp://10.0.0.1"}"#),
        ready(r#"{"buildkit": "tcp://10.0.0.1:0"}"#),
        ready(r#"{"docker": "tcp://-H:1"}"#),
        ready(r#"{"docker": "unix:///a/../b"}"#),
        ready(r#"{"builder": "mine"}"#),
        ready(r#""current""#),
        format!(r#"lease:lie={{"lease_id": "vm-7", "state": "{}"}}"#, "x".repeat(70_000)),
    ] {
        let mut record = record();
        lab.misbehave(&lie);
        let error = lab.acquire(&client, &mut record).unwrap_err();
        assert!(!error.passing, "{lie:.80}: {error:?}");
        assert!(told(&error).len() < 3000, "{lie:.80}");
        // The service has leased, whatever it says.
        assert_eq!(lab.service.leased().len(), 1, "{lie:.80}");
        lab.release(&client, &record).unwrap();
        assert_eq!(lab.service.leased(), Vec::<String>::new(), "{lie:.80}");
    }
    // It repeats what it was sent.
    lab.misbehave(&format!(r#"lease:lie={{"lease_id": "vm-7", "state": "{TOKEN}"}}"#));
    let mut repeats = record();
    told(&lab.acquire(&client, &mut repeats).unwrap_err());
    lab.release(&client, &repeats).unwrap();
    // Two leases for one question.
    lab.misbehave(r#"lease:lie={"lease_id": "vm-7", "state": "pending", "retry_after_s": 0}"#);
    lab.misbehave(r#"lease:lie={"lease_id": "vm-8", "state": "ready", "endpoint": {"buildkit": "tcp://10.0.0.1:1"}}"#);
    let two = lab.acquire(&client, &mut record()).unwrap_err();
    assert!(told(&two).contains("two leases for one key"), "{two:?}");
}

#[test]
fn a_token_is_there_and_goes_nowhere_in_the_clear() {
    let lab = Lab::new(1);
    let without = Orchestrator::new(&lab.url, Some("LAB_TOKEN"), &Host::default());
    let error = lab.acquire(&without, &mut record()).unwrap_err();
    assert!(!error.passing && told(&error).contains("the variable LAB_TOKEN is not set"), "{error:?}");
    let wrong = Host { env: Environment::default().with("LAB_TOKEN", "other"), ..Host::default() };
    let wrong = lab.acquire(&Orchestrator::new(&lab.url, Some("LAB_TOKEN"), &wrong), &mut record()).unwrap_err();
    assert!(!wrong.passing && told(&wrong).contains("401: the token is not right"), "{wrong:?}");
    let unusable = Host { env: Environment::default().with("LAB_TOKEN", "two words"), ..Host::default() };
    let unusable = lab.acquire(&Orchestrator::new(&lab.url, Some("LAB_TOKEN"), &unusable), &mut record()).unwrap_err();
    assert!(!told(&unusable).contains("two words"), "{unusable:?}");
    let host = host(std::path::Path::new("/"));
    for (url, why) in [
        ("http://runners.test", "is not encrypted"),
        ("ftp://runners.test", "is no web address"),
        ("runners", "is no web address"),
        ("https://user:tok-2f8a-very-secret@runners.test", "holds more than scheme, host and path"),
    ] {
        let refused = lab.acquire(&Orchestrator::new(url, Some("LAB_TOKEN"), &host), &mut record()).unwrap_err();
        assert!(!refused.passing && told(&refused).contains(why), "{refused:?}");
    }
    assert_eq!(lab.service.times_leased(), 0);
}

#[test]
fn a_lease_ends_by_itself_when_its_time_is_over() {
    let lab = Lab::new(1);
    let (client, mut record) = (lab.client(), record());
    // A record whose time to live is over asks for a minute: nothing lives shorter.
    record.expires_at = record.asked_at;
    lab.acquire(&client, &mut record).unwrap();
    let asked = lab.service.exchanges().pop().unwrap();
    assert_eq!(asked.question["ttl_minutes"], 1);
}

#[test]
fn figures_are_kept_and_given_back() {
    let lab = Lab::new(1);
    let client = lab.client();
    let layer = "app".parse().unwrap();
    let usual = || lab.runtime.block_on(client.usual(&layer)).unwrap();
    assert_eq!(usual().memory_mb, None);
    let metrics = |n: u64, succeeded: bool| Metrics {
        lease: format!("lamina-20261122-040502-{n}"),
        run: "r".to_owned(),
        workspace: "mini".to_owned(),
        layer: "app".to_owned(),
        succeeded,
        duration_ms: 1000,
        peak_memory_mb: Some(n),
        cpu_ms: Some(1500),
    };
    lab.misbehave("metrics:lose");
    for n in 1..=20 {
        lab.runtime.block_on(client.tell(&metrics(n, true))).unwrap();
    }
    lab.runtime.block_on(client.tell(&metrics(9000, false))).unwrap();
    let known = usual();
    assert_eq!((known.memory_mb, known.cpu_milli, known.builds), (Some(19), Some(1500), 20));
    for lie in [r#"p95:lie={"memory_mb": -1, "cpu": 1e300}"#, "p95:lie={}"] {
        lab.misbehave(lie);
        let none = usual();
        assert_eq!((none.memory_mb, none.cpu_milli), (None, None), "{lie}");
    }
    lab.misbehave("p95:status=501");
    assert_eq!(usual().memory_mb, None);
    lab.misbehave("metrics:status=501");
    lab.runtime.block_on(client.tell(&metrics(21, true))).unwrap();
}

#[test]
fn what_a_runner_says_of_a_failed_build() {
    let lab = Lab::new(1);
    let (client, mut record) = (lab.client(), record());
    lab.acquire(&client, &mut record).unwrap();
    let evidence = || lab.runtime.block_on(client.evidence(&record, record.asked_at));
    // Engines that are there say nothing.
    assert_eq!(evidence().unwrap(), lamina::runner::Evidence::default());
    let said =
        r#"{"oom": "oom-kill: task cc1\u001b[2J", "alone": true, "usage": {"peak_memory_mb": 4000, "cpu_ms": 12}}"#;
    lab.misbehave(&format!("evidence:lie={said}"));
    let found = evidence().unwrap();
    assert_eq!((found.oom.as_deref(), found.alone), (Some("oom-kill: task cc1[2J"), true));
    assert_eq!(found.usage.unwrap().peak_memory_mb, Some(4000));
    lab.misbehave(&format!(r#"evidence:lie={{"oom": "{TOKEN}"}}"#));
    assert_eq!(evidence().unwrap().oom.as_deref(), Some("***"));
    lab.misbehave("evidence:lie=[1]");
    told(&evidence().unwrap_err());
}
