//! External images: each has its digest in the lock, and the lock has no others.

use crate::diag::{Code, Diagnostic};
use crate::lock;
use crate::model::{Base, EdgeKind};
use crate::snapshot::{Snapshot, at_field};

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let mut findings = snapshot.lock_findings.clone();
    for loaded in snapshot.layers() {
        let layer = &loaded.layer;
        for edge in layer.edges() {
            let Base::Image(image) = edge.base else { continue };
            let is_repeated = edge.kind == EdgeKind::Runtime && layer.build_base == layer.runtime_base;
            if is_repeated || snapshot.lock.get(image).is_some() {
                continue;
            }
            let field = format!("{}.image", edge.field());
            let file = snapshot.lock_file.as_deref().unwrap_or(lock::FILE);
            let message = format!("{} has no digest in {file}", image.familiar());
            let finding = at_field(loaded, Code::Unpinned, &field, message);
            findings.push(finding.help(format!("add [[image]] with reference = \"{image}@sha256:…\"")));
        }
    }
    if !snapshot.catalog.broken.is_empty() {
        // A layer that can't be read may use any of them.
        return findings;
    }
    let images = snapshot.images();
    for (image, locked) in snapshot.lock.iter().filter(|(image, _)| !images.contains_key(image)) {
        let file = snapshot.lock_file.as_deref().unwrap_or(lock::FILE);
        let message = format!("no layer uses {}", image.familiar());
        let finding = Diagnostic::new(Code::LockUnused, message).label(file, locked.span.clone(), "");
        findings.push(finding.help("remove the entry"));
    }
    findings
}
