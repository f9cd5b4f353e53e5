//! The configuration that a buildkitd of lamina's own gets (BuildKit, `docs/buildkitd.toml.md`).

use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::Host;

/// Where a buildkitd on this machine keeps everything.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of its state.
    pub root: &'a Path,
    /// The socket that it listens on.
    pub socket: &'a Path,
    /// The socket that it takes traces on, which all buildkitds of a machine share otherwise.
    pub traces: &'a Path,
    /// The cgroup that its steps are put below, where it is to be another than its own default.
    pub cgroup: Option<&'a str>,
}

/// The configuration: which registries speak plain HTTP and what stands in for which, that steps may have the network
/// of the machine where a layer says so, and, of a buildkitd on this machine, where it is.
pub fn configuration(host: &Host, place: Option<Place<'_>>) -> String {
    let mut document = DocumentMut::new();
    document["insecure-entitlements"] = value(Array::from_iter(["network.host"]));
    if let Some(Place { root, socket, traces, cgroup }) = place {
        document["root"] = value(root.to_string_lossy().into_owned());
        document["grpc"]["address"] = value(Array::from_iter([format!("unix://{}", socket.display())]));
        document["otel"]["socketPath"] = value(traces.to_string_lossy().into_owned());
        document["worker"]["oci"]["enabled"] = value(true);
        // It does not live long enough to need that, and takes what a build is about to use.
        document["worker"]["oci"]["gc"] = value(false);
        if let Some(cgroup) = cgroup {
            document["worker"]["oci"]["defaultCgroupParent"] = value(format!("/{cgroup}"));
        }
        document["worker"]["containerd"]["enabled"] = value(false);
    }
    let mut registries = Table::new();
    for mirror in &host.mirrors {
        registries[&*mirror.registry]["mirrors"] = value(Array::from_iter([&*mirror.host]));
    }
    for registry in &host.plain_http {
        registries[&**registry]["http"] = value(true);
    }
    if !registries.is_empty() {
        document["registry"] = Item::Table(registries);
    }
    document.to_string()
}
