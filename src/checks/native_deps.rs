//! C libraries: declared where the class asks for it, installed where they are declared.

use crate::catalog::LoadedLayer;
use crate::diag::{Code, Diagnostic};
use crate::dockerfile::Dockerfile;
use crate::model::{Class, NativeSource, Needed};
use crate::snapshot::{Snapshot, at_field};

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    snapshot.layers().flat_map(|loaded| check_layer(snapshot, loaded)).collect()
}

fn check_layer(snapshot: &Snapshot, loaded: &LoadedLayer) -> Vec<Diagnostic> {
    let layer = &loaded.layer;
    let mut findings = Vec::new();
    if layer.class == Class::NativeDep && layer.native_deps.is_empty() {
        let message = format!("{} is a native-dep layer without native_deps", layer.name);
        let finding = at_field(loaded, Code::NativeDeps, "class", message);
        findings.push(finding.help("declare the C libraries, or make it a 'source-dep"));
    }
    let installed = installed_packages(snapshot, loaded);
    for (index, dep) in layer.native_deps.iter().enumerate() {
        let is_installed = || installed.as_ref().is_none_or(|words| words.contains(&dep.package));
        if dep.source == NativeSource::Apt && dep.needed != Needed::Run && !is_installed() {
            let message = format!("{} does not install the package {}", layer.build.dockerfile, dep.package);
            let field = format!("native_deps[{index}].package");
            let finding = at_field(loaded, Code::NativeDepsInstalled, &field, message);
            findings.push(finding.help(format!("add {} to `apt-get install`", dep.package)));
        }
    }
    findings
}

/// All words of the RUNs that install packages; `None` where the Dockerfile can't be read, which is reported
/// elsewhere.
fn installed_packages(snapshot: &Snapshot, loaded: &LoadedLayer) -> Option<Vec<String>> {
    let build = &loaded.layer.build;
    let file = snapshot.catalog.files.text(&build.dockerfile).ok()??;
    let dockerfile = Dockerfile::parse(build.dockerfile.as_str(), &file.text).ok()?;
    let last = dockerfile.final_stage(build.target.as_deref())?;
    let mut words = Vec::new();
    for stage in dockerfile.reachable(last) {
        for (run, _) in &dockerfile.stages[stage].runs {
            if !run.contains("apt") || !run.contains("install") {
                continue;
            }
            let separators = |c: char| c.is_whitespace() || "\\;&|()'\"".contains(c);
            // A pinned package is written NAME=VERSION.
            words.extend(run.split(separators).filter_map(|word| word.split('=').next()).map(str::to_owned));
        }
    }
    Some(words)
}
