//! An engine whose runner is watched: a client may wait for ever for a runner that is gone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Provider, Record};
use crate::engine::{About, Engine, Progress, Solve, SolveError, Solved};
use crate::event::FailureKind;

/// An engine on a lease. What is built there ends when the provider says that the runner is gone.
pub struct Watched {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Who has leased its runner.
    pub provider: Arc<dyn Provider>,
    /// The lease.
    pub record: Record,
}

impl Engine for Watched {
    fn about(&self) -> &About {
        self.engine.about()
    }

    fn solve<'a>(
        &'a self,
        solve: &'a Solve,
        progress: &'a mut (dyn FnMut(Progress) + Send),
        cancel: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<Solved, SolveError>> + Send + 'a>> {
        Box::pin(async move {
            tokio::select! {
                biased;
                solved = self.engine.solve(solve, progress, cancel) => solved,
                why = self.provider.lost(&self.record) => Err(SolveError::new(FailureKind::Engine, why)),
            }
        })
    }

    fn command(&self, solve: &Solve) -> Vec<String> {
        self.engine.command(solve)
    }
}
