//! How much is asked at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use futures_util::future::join_all;
use lamina::registry::{self, Options, Registry};

use crate::common::{good, image, plain, served, truth};
use crate::server::Server;

/// A server that answers when `bound` requests are there, and counts how many there are at most.
fn gathering(bound: usize) -> (Server, Arc<AtomicUsize>) {
    let (barrier, now, most) = (Barrier::new(bound), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::start(move |_, _| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        barrier.wait();
        now.fetch_sub(1, Ordering::SeqCst);
        served(good())
    });
    (server, most)
}

#[test]
fn as_much_is_asked_at_the_same_time_as_is_allowed_and_not_more() {
    for (bound, asked) in [(1, 3), (4, 12), (16, 32)] {
        let (server, most) = gathering(bound);
        let options = Options { concurrency: bound, ..plain(&[&server.host]) };
        let registries = registry::open(&options).unwrap();
        let names: Vec<_> = (0..asked).map(|number| image(&server.host, &format!("a/b:{number}"))).collect();
        // More questions than the bound wait for their turn.
        let answers = registry::block_on(join_all(names.iter().map(|image| registries.manifest(image)))).unwrap();
        // With fewer at a time, the server would never have answered.
        assert!(answers.into_iter().all(|answer| answer.unwrap() == truth()));
        assert_eq!(most.load(Ordering::SeqCst), bound);
    }
}
