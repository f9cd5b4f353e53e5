//! Which failures are asked again, how often, and how long a server may make lamina wait.

use std::time::{Duration, Instant, SystemTime};

use lamina::registry::{self, Options, Registry, RegistryError, RegistryErrorKind};

use crate::common::{good, image, manifest, plain, quick, served, sha256, truth};
use crate::server::{Reply, Server};

/// A server that says `reply` to the first request, and the truth from then on.
fn at_first(reply: Reply) -> Server {
    Server::start(move |_, number| if number == 0 { reply.clone() } else { served(good()) })
}

#[test]
fn what_may_pass_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let server = at_first(Reply::new(status, "busy"));
        assert_eq!(manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap(), truth(), "{status}");
        assert_eq!(server.asked().len(), 2, "{status}");
    }
}

#[test]
fn what_stays_is_not_asked_again() {
    for status in [400, 403, 404, 410, 418, 501] {
        let server = at_first(Reply::new(status, "no"));
        let error = manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
        let is_expected = match status {
            403 => matches!(error.kind, RegistryErrorKind::Unauthorized { .. }),
            404 => matches!(error.kind, RegistryErrorKind::NotFound { .. }),
            _ => matches!(error.kind, RegistryErrorKind::Server { status: said, .. } if said == status),
        };
        assert!(is_expected, "{status}: {error}");
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[test]
fn attempts_are_bounded() {
    for (attempts, asked) in [(0, 1), (1, 1), (3, 3)] {
        let server = Server::start(|_, _| Reply::new(503, ""));
        let options = Options { retry: quick(attempts), ..plain(&[&server.host]) };
        let error = manifest(&options, &image(&server.host, "a/b:1")).unwrap_err();
        assert!(error.to_string().ends_with("failed with status 503"), "{error}");
        assert_eq!(server.asked().len(), asked);
    }
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    let waited = |asked: &str| {
        let server = at_first(Reply::new(429, "").header("Retry-After", asked));
        let start = Instant::now();
        assert_eq!(manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap(), truth());
        start.elapsed()
    };
    let time = waited("1");
    assert!(time >= Duration::from_secs(1), "{time:?}");
    // A date has no fractions of a second.
    let time = waited(&httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3)));
    assert!(time >= Duration::from_secs(1), "{time:?}");
}

#[test]
fn a_server_that_asks_to_wait_too_long_is_not_waited_for() {
    for (status, asked, told) in [
        (429, "3600", "limits the rate of requests; it asks to wait 3600 s"),
        (503, "6", "failed with status 503; it asks to wait 6 s"),
        (429, "99999999999999999999999999", "limits the rate of requests; it asks to wait 18446744073709551615 s"),
    ] {
        let server = at_first(Reply::new(status, "").header("Retry-After", asked));
        let error = manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
        assert!(error.to_string().ends_with(told), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
    let far = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(86400));
    let server = at_first(Reply::new(429, "").header("Retry-After", &far));
    let error = manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap_err();
    let RegistryErrorKind::RateLimited { retry_after: Some(time), .. } = error.kind else { panic!("{error}") };
    assert!(time > Duration::from_secs(80_000) && time <= Duration::from_secs(86400), "{time:?}");
}

#[test]
fn a_wait_that_is_none_does_not_matter() {
    for asked in ["soon", "-5", "1.5", "", "0", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let server = at_first(Reply::new(503, "").header("Retry-After", asked));
        assert_eq!(manifest(&plain(&[&server.host]), &image(&server.host, "a/b:1")).unwrap(), truth(), "{asked}");
    }
}

/// A second without a byte is too long.
fn hasty(host: &str) -> Options {
    Options { timeout: Duration::from_secs(1), retry: quick(1), ..plain(&[host]) }
}

fn blob(options: &Options, host: &str, content: &[u8]) -> Result<Vec<u8>, RegistryError> {
    let registries = registry::open(options).unwrap();
    let digest = sha256(content).parse().unwrap();
    registry::block_on(registries.blob(&image(host, "a/b:1"), &digest, content.len())).unwrap()
}

#[test]
fn a_large_blob_may_take_longer_than_the_wait_for_a_byte() {
    let content = vec![7; 60 << 10];
    let sent = content.clone();
    // Twelve drops, of which each takes a quarter of the patience.
    let server = Server::start(move |_, _| Reply::new(200, sent.clone()).drip(5 << 10, Duration::from_millis(250)));
    assert_eq!(blob(&hasty(&server.host), &server.host, &content).unwrap(), content);
}

#[test]
fn a_blob_that_stops_or_trickles_is_given_up() {
    let content = vec![7; 60 << 10];
    let stalled = Reply::new(200, content.clone()).stall(8 << 10);
    let trickling = Reply::new(200, content.clone()).drip(1, Duration::from_millis(50));
    for (reply, told) in
        [(stalled, "after 8192 bytes, too little moved for 1 s"), (trickling, "too little moved for 1 s")]
    {
        let server = Server::start(move |_, _| reply.clone());
        let error = blob(&hasty(&server.host), &server.host, &content).unwrap_err();
        assert!(matches!(error.kind, RegistryErrorKind::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn what_is_sent_may_take_longer_than_the_wait_for_an_answer() {
    // More than the system keeps for both sides: most of it goes as it is read.
    let content = vec![b'7'; 24 << 20];
    let (sent, whole) = (sha256(&content), content.len());
    let server = Server::start_slow(Duration::from_millis(100), move |seen, _| match seen.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        "POST" => Reply::new(202, "").header("Location", "/v2/a/b/blobs/uploads/1"),
        _ if seen.body.len() == whole => Reply::new(201, "").header("Docker-Content-Digest", &sent),
        _ => Reply::new(400, ""),
    });
    let registries = registry::open(&hasty(&server.host)).unwrap();
    let pushed = registry::block_on(registries.push_blob(&image(&server.host, "a/b:1"), content.clone())).unwrap();
    assert_eq!(pushed.unwrap().digest.to_string(), sha256(&content));
    assert_eq!(server.seen().last().unwrap().headers["content-length"], content.len().to_string());
}
