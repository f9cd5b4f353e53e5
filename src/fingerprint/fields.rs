//! The fields of a layer that its build depends on.

use std::collections::BTreeMap;

use serde_json::json;

use crate::model::{Catalog, Hook, Layer, Network};

/// The build-relevant fields by path, as JSON. Lists whose order means nothing are keyed by name.
/// The bases and donors are not among them: they are edges.
pub fn fields(layer: &Layer, catalog: &Catalog) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut put = |path: String, value: String| drop(fields.insert(path, value));
    put("layer".to_owned(), text(layer.name.as_str()));
    for dep in &layer.native_deps {
        let path = |field: &str| format!("native_deps.{}.{field}", dep.package);
        put(path("library"), text(&dep.library));
        put(path("needed"), text(dep.needed.as_str()));
        put(path("source"), text(dep.source.as_str()));
    }
    for tool in &layer.tools {
        put(format!("tools_provided.{}.probe", tool.name), list(&tool.probe));
        if let Some(version) = &tool.version {
            put(format!("tools_provided.{}.version", tool.name), text(version));
        }
    }
    if !layer.artifacts.is_empty() {
        let mut paths: Vec<&String> = layer.artifacts.iter().map(|artifact| &artifact.path).collect();
        paths.sort();
        put("artifact_paths".to_owned(), list(&paths));
    }
    if let Some(cooked) = &layer.cooked {
        let profiles: Vec<String> = cooked.profiles.iter().map(ToString::to_string).collect();
        put("cooked.profiles".to_owned(), list(&profiles));
        put("cooked.target_dir".to_owned(), text(&cooked.target_dir));
        put("cooked.units".to_owned(), text(&cooked.units));
    }
    if let Some(target) = &layer.build.target {
        put("build.target".to_owned(), text(target));
    }
    for (name, value) in &layer.build.args {
        put(format!("build.args.{name}"), text(value));
    }
    for secret in &layer.build.secrets {
        put(format!("build.secrets.{}.required", secret.id), secret.required.to_string());
    }
    if !layer.build.ssh.is_empty() {
        let mut ids: Vec<&String> = layer.build.ssh.iter().collect();
        ids.sort();
        put("build.ssh".to_owned(), list(&ids));
    }
    if layer.build.network != Network::Default {
        put("build.network".to_owned(), text(layer.build.network.as_str()));
    }
    for (name, value) in &layer.build.labels {
        put(format!("build.labels.{name}"), text(value));
    }
    for (name, value) in &layer.build.annotations {
        put(format!("build.annotations.{name}"), text(value));
    }
    let mut platforms: Vec<&str> = layer.build.platforms.iter().map(|platform| platform.as_str()).collect();
    platforms.sort_unstable();
    put("build.platforms".to_owned(), list(&platforms));
    if !layer.hooks.pre_build.is_empty() {
        let hook = |hook: &Hook| json!({ "command": hook.command, "env": hook.env });
        let hooks: Vec<_> = layer.hooks.pre_build.iter().map(hook).collect();
        put("hooks.pre_build".to_owned(), list(&hooks));
    }
    put("build.cache_version".to_owned(), layer.build.cache_version.to_string());
    put("catalog.cache_version".to_owned(), catalog.cache_version.to_string());
    fields
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list<T: serde::Serialize>(list: &T) -> String {
    // Lists of strings always have a JSON form.
    serde_json::to_string(list).unwrap_or_default()
}
