//! How long a request may take: as long as bytes come or go, and not too slowly.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

/// What a line has to carry, in bytes a second, once the first wait is over: who sends a byte now and then to keep a
/// client waiting is not waited for.
const SLOWEST: u64 = 4 << 10;

/// What is sent goes in pieces of so many bytes.
const PIECE: usize = 64 << 10;

/// What has come or gone of a request. Whoever moves its bytes says so here.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    bytes: AtomicU64,
    /// When the last of them did, in milliseconds from the beginning.
    moved: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), bytes: AtomicU64::new(0), moved: AtomicU64::new(0) }
    }

    pub(super) fn moved(&self, bytes: usize) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long it is waited for, as things are.
    fn end(&self, patience: Duration) -> Instant {
        let idle = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        let slow = Duration::from_secs(self.bytes.load(Ordering::Relaxed) / SLOWEST);
        self.begun + patience + idle.min(slow)
    }

    /// Does some work until it is done, or until nothing has moved for too long; then in words, what is wrong.
    pub(super) async fn wait<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Result<T, String> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = timeout_at(self.end(patience), &mut work).await {
                return Ok(done);
            }
            // Meanwhile there may be more.
            if self.end(patience) <= Instant::now() {
                return Err(self.why(patience));
            }
        }
    }

    fn why(&self, patience: Duration) -> String {
        let patience = patience.as_secs_f32();
        match self.bytes.load(Ordering::Relaxed) {
            0 => format!("no answer within {patience} s"),
            bytes => format!("the line is too slow or broken: after {bytes} bytes, too little moved for {patience} s"),
        }
    }
}

/// Content that is sent, and says how far it has come.
pub(super) struct Upload {
    left: Bytes,
    progress: Arc<Progress>,
}

impl Upload {
    pub(super) fn new(bytes: &[u8], progress: &Arc<Progress>) -> Self {
        Self { left: Bytes::copy_from_slice(bytes), progress: progress.clone() }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let size = self.left.len().min(PIECE);
        let piece = self.left.split_to(size);
        self.progress.moved(size);
        Poll::Ready((size > 0).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.left.len()).unwrap_or(u64::MAX))
    }
}
