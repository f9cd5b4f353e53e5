//! External images: each has its digest in the lock, and the lock has no others.

use crate::diag::{Code, Diagnostic};
use crate::lock;
use crate::model::{Base, EdgeKind, Platform};
use crate::snapshot::{Snapshot, at_field};

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let mut findings = snapshot.lock_findings.clone();
    for loaded in snapshot.layers() {
        let layer = &loaded.layer;
        for edge in layer.edges() {
            let Base::Image(image) = edge.base else { continue };
            if edge.kind == EdgeKind::Runtime && layer.build_base == layer.runtime_base {
                continue;
            }
            let field = format!("{}.image", edge.field());
            let file = snapshot.lock_file.as_deref().unwrap_or(lock::FILE);
            let Some(locked) = snapshot.lock.get(image) else {
                let message = format!("{} has no digest in {file}", image.familiar());
                let finding = at_field(loaded, Code::Unpinned, &field, message);
                findings.push(finding.help("`lamina lock` puts it there"));
                continue;
            };
            let lacking = layer.build.platforms.iter().filter(|platform| !locked.platforms.contains_key(*platform));
            for platform in lacking.filter(|_| !locked.platforms.is_empty()) {
                let name = image.familiar();
                let message = format!("{} is built for {platform}, and {name} is not there for it", layer.name);
                let finding = at_field(loaded, Code::PlatformMissing, &field, message);
                let known: Vec<&str> = locked.platforms.keys().map(Platform::as_str).collect();
                let finding = finding.label(file, locked.span.clone(), format!("it is there for {}", known.join(", ")));
                findings.push(finding.help("take a base that is, or leave the platform out of build.platforms"));
            }
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
        findings.push(finding.help("`lamina lock` removes the entry"));
    }
    findings
}
