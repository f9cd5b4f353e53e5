//! A file for `docker buildx bake` that builds layers and all that they depend on, without lamina.
//!
//! A layer is a target. Its parents are named contexts, each called as the image that the build argument names: BuildKit
//! takes a context of an image's name in place of the image, so the child is built from the target and nothing is pulled.
//!
//! JSON, which bake reads as it reads HCL: every text, and every name in an object, is a template of HCL's
//! (<https://github.com/hashicorp/hcl/blob/main/json/spec.md>), so `${` and `%{` are escaped.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::diag::Diagnostic;
use crate::model::{LayerName, Network, RelPath};
use crate::snapshot::{Recipe, Snapshot};

#[derive(Serialize)]
struct File {
    group: BTreeMap<&'static str, Group>,
    target: BTreeMap<String, Target>,
}

#[derive(Serialize)]
struct Group {
    targets: Vec<String>,
}

/// What bake knows of a target (<https://docs.docker.com/build/bake/reference/#target>); what is empty is left out.
#[derive(Serialize)]
struct Target {
    context: String,
    /// Relative to the context.
    dockerfile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    args: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    contexts: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secret: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entitlements: Vec<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<String>,
    /// Without it, an image that is taken from the cache would have another digest each time.
    attest: [&'static str; 1],
    tags: Vec<String>,
}

/// The file, with a line end: the selected layers are its default group; a parent that is not among `all` is pulled.
///
/// # Errors
/// Why a layer can't be built.
pub fn json(
    snapshot: &Snapshot,
    selected: &BTreeSet<&LayerName>,
    all: &BTreeSet<&LayerName>,
) -> Result<String, Vec<Diagnostic>> {
    let (mut targets, mut findings) = (BTreeMap::new(), Vec::new());
    for name in all {
        match snapshot.recipe(name) {
            Some(Ok(recipe)) => drop(targets.insert(name.to_string(), target(&recipe, all))),
            Some(Err(finding)) => findings.push(*finding),
            None => {}
        }
    }
    // The same mistake in the catalog stands in the way of all layers.
    findings.dedup_by(|a, b| (a.code, &a.file) == (b.code, &b.file));
    if !findings.is_empty() {
        let causes = &snapshot.fingerprints().findings;
        return Err(if causes.is_empty() { findings } else { causes.clone() });
    }
    let group = Group { targets: selected.iter().map(ToString::to_string).collect() };
    let file = File { group: BTreeMap::from([("default", group)]), target: targets };
    // Text keys and strings always have a JSON form.
    Ok(serde_json::to_string_pretty(&file).unwrap_or_default() + "\n")
}

fn target(recipe: &Recipe<'_>, all: &BTreeSet<&LayerName>) -> Target {
    let build = &recipe.layer.build;
    let map = |map: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        map.iter().map(|(name, value)| (name.clone(), literal(value))).collect()
    };
    let mut contexts: BTreeMap<String, String> =
        build.contexts.iter().map(|(name, folder)| (name.clone(), folder_name(folder))).collect();
    let parents = recipe.layer.edges().filter_map(|edge| Some((edge.base.as_layer()?, recipe.args.get(edge.arg)?)));
    let parents = parents.filter(|(parent, _)| all.contains(parent));
    contexts.extend(parents.map(|(parent, image)| (image.clone(), format!("target:{parent}"))));
    Target {
        context: folder_name(&build.context),
        dockerfile: literal(&relative(&build.context, &build.dockerfile)),
        target: build.target.clone(),
        args: recipe.args.iter().map(|(name, value)| ((*name).to_owned(), literal(value))).collect(),
        contexts,
        platforms: build.platforms.iter().map(ToString::to_string).collect(),
        secret: build.secrets.iter().map(|secret| format!("id={},env={}", secret.id, secret.variable())).collect(),
        ssh: build.ssh.clone(),
        network: Some(build.network).filter(|network| *network != Network::Default).map(Network::as_str),
        entitlements: if build.network == Network::Host { vec!["network.host"] } else { Vec::new() },
        labels: map(&build.labels),
        annotations: super::equations(&map(&build.annotations)),
        attest: ["type=provenance,disabled=true"],
        tags: vec![recipe.image.to_string()],
    }
}

/// A folder of the catalog, in a form that is no name of anything remote: `./layers/rust`.
fn folder_name(folder: &RelPath) -> String {
    literal(&format!("./{}", folder.as_str()))
}

/// A text that HCL takes for itself.
fn literal(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// The way from a folder to a file.
fn relative(folder: &RelPath, file: &RelPath) -> String {
    let mut up = String::new();
    let mut from = folder.clone();
    loop {
        if let Some(below) = file.below(&from) {
            return up + below;
        }
        // The root holds every file, so there is a parent.
        from = from.parent().unwrap_or_default();
        up.push_str("../");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_named_from_its_context() {
        let path = |text: &str| RelPath::new(text).unwrap();
        let way = |folder: &str, file: &str| relative(&path(folder), &path(file));
        assert_eq!(way("layers/a", "layers/a/Dockerfile"), "Dockerfile");
        assert_eq!(way("", "layers/a/Dockerfile"), "layers/a/Dockerfile");
        assert_eq!(way("layers/a", "layers/ab/Dockerfile"), "../ab/Dockerfile");
        assert_eq!(way("web/src", "layers/a/Dockerfile"), "../../layers/a/Dockerfile");
    }
}
