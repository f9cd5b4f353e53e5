//! External images: each has its digest in the lock, and the lock has no others.

use crate::diag::{Code, Diagnostic};
use crate::lock;
use crate::snapshot::Snapshot;

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let mut findings = snapshot.lock_findings.clone();
    findings.extend(snapshot.layers().flat_map(|loaded| snapshot.base_findings(loaded)));
    if !snapshot.catalog.broken.is_empty() {
        // A layer that can't be read may use any of them.
        return findings;
    }
    let images = snapshot.images();
    for (image, locked) in snapshot.lock.iter().filter(|(image, _)| !images.contains_key(image)) {
        let file = snapshot.lock_file.as_deref().unwrap_or(lock::FILE);
        let message = format!("no layer uses {}", image.familiar());
        let finding = Diagnostic::new(Code::LockUnused, message).label(file, locked.span.clone(), "");
        findings.push(finding.help("`lamina lock` removes the entry"));
    }
    findings
}
