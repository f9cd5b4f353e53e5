//! A layer as data: what decisions' constraints ask about, and what `lamina show` gives out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Base, Layer};

/// The layer with the names of `schemas/workflow.ncl`; fields without a value are left out.
pub fn to_value(layer: &Layer) -> Value {
    let base = |base: &Base| match base {
        Base::Layer(name) => json!({ "layer": name.as_str() }),
        Base::Image(image) => json!({ "image": image.familiar() }),
    };
    let donor = |donor: &super::Donor| {
        let mut value = base(&donor.base);
        value["arg"] = donor.arg.clone().into();
        value
    };
    let native_dep = |dep: &super::NativeDep| {
        json!({
            "package": dep.package,
            "library": dep.library,
            "needed": dep.needed.as_str(),
            "source": dep.source.as_str(),
        })
    };
    let tool = |tool: &super::Tool| json!({ "name": tool.name, "probe": tool.probe, "version": tool.version });
    let artifact = |artifact: &super::Artifact| json!({ "path": artifact.path, "description": artifact.description });
    let secret =
        |secret: &super::Secret| json!({ "id": secret.id, "required": secret.required, "purpose": secret.purpose });
    let ceilings = |ceilings: &super::Ceilings| {
        let mut value: Map<_, _> =
            ceilings.numbers().map(|(name, ceiling)| (name.to_owned(), ceiling.into())).collect();
        value.insert("cone".to_owned(), json!(ceilings.cone));
        value
    };
    let cooked = layer.cooked.as_ref().map(|cooked| {
        json!({
            "path": cooked.path.as_str(),
            "profiles": cooked.profiles.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "calls": cooked.calls,
            "target_dir": cooked.target_dir,
            "units": cooked.units,
            "ceilings": (!cooked.ceilings.is_empty()).then(|| ceilings(&cooked.ceilings)),
        })
    });
    let hook = |hook: &super::Hook| json!({ "command": hook.command, "timeout_s": hook.timeout_s, "env": hook.env });
    let hooks = |hooks: &[super::Hook]| hooks.iter().map(hook).collect::<Vec<_>>();
    let build = &layer.build;
    let resources = build.resources;
    let value = json!({
        "layer": layer.name.as_str(),
        "class": layer.class.as_str(),
        "summary": layer.summary,
        "docs": layer.docs,
        "build_base": base(&layer.build_base),
        "runtime_base": base(&layer.runtime_base),
        "donors": layer.donors.iter().map(donor).collect::<Vec<_>>(),
        "native_deps": layer.native_deps.iter().map(native_dep).collect::<Vec<_>>(),
        "tools_provided": layer.tools.iter().map(tool).collect::<Vec<_>>(),
        "artifact_paths": layer.artifacts.iter().map(artifact).collect::<Vec<_>>(),
        "cooked": cooked,
        "tags": layer.tags,
        "build": {
            "dockerfile": build.dockerfile.as_str(),
            "context": build.context.as_str(),
            "target": build.target,
            "args": build.args,
            "secrets": build.secrets.iter().map(secret).collect::<Vec<_>>(),
            "contexts": build.contexts.iter().map(|(name, folder)| (name, folder.as_str())).collect::<BTreeMap<_, _>>(),
            "ssh": build.ssh,
            "network": build.network.as_str(),
            "labels": build.labels,
            "annotations": build.annotations,
            "platforms": build.platforms.iter().map(|platform| platform.as_str()).collect::<Vec<_>>(),
            "resources": {
                "cpu": resources.cpu,
                "memory_mb": resources.memory_mb,
                "disk_mb": resources.disk_mb,
                "time_budget_min": resources.time_budget_min,
                "expected_min": resources.expected_min,
            },
            "cache_version": build.cache_version,
        },
        "hooks": {
            "pre_build": hooks(&layer.hooks.pre_build),
            "post_build": hooks(&layer.hooks.post_build),
            "pre_promote": hooks(&layer.hooks.pre_promote),
        },
    });
    without_nulls(value)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
