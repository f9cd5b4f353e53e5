//! What a runner uses, looked at while it builds. The kernel's own maximum counts the files that it remembers as well,
//! so that of a build which writes much it is always the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::cgroup::Cgroup;
use crate::runner::Usage;

/// How often memory is looked at. What is shorter is not seen.
const EVERY: Duration = Duration::from_millis(100);

/// Looks at a cgroup until it goes.
#[derive(Debug)]
pub struct Watch {
    cgroup: Cgroup,
    peak: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to look.
    pub fn start(cgroup: Cgroup) -> Self {
        let peak: Arc<AtomicU64> = Arc::default();
        let (watched, most) = (cgroup.clone(), Arc::clone(&peak));
        let task = tokio::spawn(async move {
            loop {
                most.fetch_max(watched.memory().unwrap_or_default(), Ordering::Relaxed);
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { cgroup, peak, task }
    }

    /// The cgroup.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        let peak = self.peak.fetch_max(self.cgroup.memory().unwrap_or_default(), Ordering::Relaxed);
        let peak_memory_mb = (peak > 0).then(|| peak.div_ceil(1 << 20));
        Usage { peak_memory_mb, cpu_ms: self.cgroup.cpu_ms() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
