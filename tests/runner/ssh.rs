//! Hosts over SSH that are not as they should be, with a real sshd.

use jiff::Timestamp;
use lamina::event::RunId;
use lamina::model::{ProviderKind, Size, SshHost};
use lamina::runner::providers::open;
use lamina::runner::{Endpoint, LeaseId, Owner, Provider, ProviderError, Record, Request};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::lab::host;
use crate::leftovers;
use crate::sshd::Sshd;

struct Pool {
    provider: Box<dyn Provider>,
    kind: ProviderKind,
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Pool {
    fn of(kind: ProviderKind) -> Self {
        let folder = TempDir::new().unwrap();
        let provider = open(&kind, &host(&folder, "registry.example.com")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { provider, kind, folder, runtime }
    }

    fn lease(&self, salt: u64) -> (Record, Result<Endpoint, ProviderError>) {
        let now = Timestamp::now();
        let size = Size { cpu: 1, memory_mb: 1 };
        let (layer, tier, platforms) = ("layer".parse().unwrap(), None, Vec::new());
        let request = Request { layer, size, tier, platforms, minutes: 1 };
        let lease = LeaseId::new(now, u64::from(std::process::id()) << 8 | salt);
        let record = Record::new(lease, Owner::this(), RunId::new(now, 1), ("row", &self.kind), &request, now);
        let never = CancellationToken::new();
        let acquired = self.runtime.block_on(self.provider.acquire(&record, &|_| Ok(()), &never));
        (record, acquired)
    }

    fn release(&self, record: &Record) {
        self.runtime.block_on(self.provider.release(record)).unwrap();
        leftovers::none(record.lease.as_str(), &self.folder.path().join("state"));
    }

    fn refused(&self) -> ProviderError {
        let (record, refused) = self.lease(1);
        self.release(&record);
        refused.unwrap_err()
    }
}

#[test]
fn a_host_with_another_key_is_refused_for_good() {
    let Some(sshd) = Sshd::start("a host with another key") else { return };
    let pool = |known, identity| Pool::of(sshd.pool(vec![sshd.host(1)], known, identity));
    let wrong = pool("wrong", "user").refused();
    assert!(!wrong.passing && wrong.message.contains("its key is not the one that is known"), "{wrong:?}");
    assert!(wrong.hints[0].contains("ssh-keyscan"), "{wrong:?}");
    let unknown = pool("nothing", "user").refused();
    assert!(!unknown.passing && unknown.message.contains("its key is not the one that is known"), "{unknown:?}");
    let stranger = pool("known", "stranger").refused();
    assert!(!stranger.passing && stranger.message.contains("Permission denied"), "{stranger:?}");
}

/// sshd says the same where it does not forward and where there is no such socket.
#[test]
fn a_host_that_forwards_nothing_or_has_no_engine_says_what_it_takes() {
    let test = "a host without an engine";
    let (Some(closed), Some(open)) = (Sshd::with(test, "AllowStreamLocalForwarding no"), Sshd::start(test)) else {
        return;
    };
    let engine = |engine: &str| vec![SshHost { engine: engine.to_owned(), ..open.host(1) }];
    for kind in [
        closed.kind(1),
        open.pool(engine("docker:///no/such/engine.sock"), "known", "user"),
        open.pool(engine("unix:///no/such/engine.sock"), "known", "user"),
    ] {
        let refused = Pool::of(kind).refused();
        assert!(refused.passing && refused.message.contains("open failed"), "{refused:?}");
        assert!(refused.hints[0].contains("engine.sock") || refused.hints[0].contains(&closed.socket), "{refused:?}");
        assert!(refused.hints[1].contains("AllowStreamLocalForwarding"), "{refused:?}");
    }
}

#[test]
fn a_sick_host_hides_no_healthy_one_and_capacity_is_kept() {
    let Some(sshd) = Sshd::start("a sick host") else { return };
    // Nobody listens on that port.
    let sick = SshHost { host: "127.0.0.1:1".to_owned(), ..sshd.host(1) };
    let pool = Pool::of(sshd.pool(vec![sick, sshd.host(1)], "known", "user"));
    assert_eq!(pool.provider.about().capacity, Some(2));
    let (first, endpoint) = pool.lease(1);
    assert!(matches!(endpoint, Ok(Endpoint::Docker(_))), "{endpoint:?}");
    // The healthy host is taken, and of the other one it is said what is the matter.
    let (second, full) = pool.lease(2);
    let full = full.unwrap_err();
    assert!(full.full && full.message.contains("all hosts are taken (127.0.0.1:1: "), "{full:?}");
    pool.release(&second);
    pool.release(&first);
    let (third, endpoint) = pool.lease(3);
    assert!(endpoint.is_ok(), "{endpoint:?}");
    pool.release(&third);
}

#[test]
fn hosts_that_no_one_could_reach_are_refused_before_anything_runs() {
    let bad = ["", "-oProxyCommand=x", "user@-x", "host:0", "host:port", "a b", "[::1", "@host", "host:22:22"];
    let socket = "unix:///run/buildkit/buildkitd.sock";
    let engines = ["tcp://host:1", "/run/x", "unix://x", "unix:///a:b", "docker:///a$HOME", ""];
    let hosts = bad.iter().map(|host| (*host, socket)).chain(engines.iter().map(|engine| ("host", *engine)));
    for (host, engine) in hosts {
        let host = SshHost { host: host.to_owned(), engine: engine.to_owned(), capacity: None };
        let pool = Pool::of(ProviderKind::Ssh { hosts: vec![host.clone()], known_hosts: None, identity: None });
        let refused = pool.refused();
        assert!(!refused.passing && refused.message.contains(", and not "), "{host:?}: {refused:?}");
    }
}
