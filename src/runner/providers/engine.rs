//! The engine that is there: nothing is leased. Where it is this machine's, the kernel's log says what was killed in a
//! step of it because memory ran out; of which build is not known.

use futures_util::future::{BoxFuture, FutureExt, ready};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Host, kernel_log};
use crate::engine::is_here;
use crate::runner::{About, Endpoint, Evidence, NoteHandle, Provider, ProviderError, Record};

/// The engine that is there: the Docker context, or BUILDKIT_HOST.
#[derive(Debug, Default)]
pub struct AtHand {
    about: About,
    is_here: bool,
}

impl AtHand {
    /// The engine of this machine's environment.
    pub fn new(host: &Host) -> Self {
        Self { about: About::default(), is_here: is_here(&host.env) }
    }
}

impl Provider for AtHand {
    fn about(&self) -> &About {
        &self.about
    }

    fn acquire<'a>(
        &'a self,
        _record: &'a Record,
        _note: &'a NoteHandle<'a>,
        _cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Endpoint, ProviderError>> {
        ready(Ok(Endpoint::Current)).boxed()
    }

    fn evidence<'a>(&'a self, _record: &'a Record, since: Timestamp) -> BoxFuture<'a, Result<Evidence, ProviderError>> {
        // BuildKit puts its steps into cgroups with its name in their path.
        let oom = if self.is_here { kernel_log::out_of_memory("buildkit", since) } else { None };
        ready(Ok(Evidence { oom, alone: false, usage: None })).boxed()
    }

    fn release<'a>(&'a self, _record: &'a Record) -> BoxFuture<'a, Result<(), ProviderError>> {
        ready(Ok(())).boxed()
    }
}
