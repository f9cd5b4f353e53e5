//! From what evaluation yields to the model: every text is parsed, every finding collected.
//!
//! The contracts have checked most of this already. It is checked again because a file may not apply its contract,
//! and because some rules are beyond a contract.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use super::raw;
use super::spans::Spans;
use crate::diag::{Code, Diagnostic};
use crate::model::{
    ActorName, Artifact, Base, Build, BuildSpec, Catalog, Ceilings, CookProfile, Cooked, DirectedLayers, Directives,
    Donor, Events, Hook, Hooks, Layer, LayerName, Mirror, NativeDep, NatsServers, NatsServersError, Platform, RelPath,
    Resources, RunnerSource, Sccache, Secret, Size, Tier, Tool, is_subject, is_subject_token, is_tag,
};

/// How tags begin that lamina, or a registry, gives to an image.
const OWN_TAGS: [&str; 3] = ["fp-", "proof-", "sha256-"];

/// How labels begin that lamina gives to an image.
const OWN_LABELS: &str = "dev.lamina.";

/// How variables begin that hold secrets.
const SECRETS: &str = "LAMINA_SECRET_";

/// Collects the findings of one file.
struct Findings<'a> {
    file: &'a RelPath,
    layer: Option<&'a LayerName>,
    spans: &'a Spans,
    found: Vec<Diagnostic>,
}

impl Findings<'_> {
    fn add(&mut self, code: Code, field: &str, message: impl Into<String>) {
        let mut finding = Diagnostic::new(code, message).field(field).file(self.file.as_str());
        finding.layer = self.layer.map(LayerName::to_string);
        if let Some(span) = self.spans.find(field) {
            finding = finding.label(self.file.as_str(), span, "");
        }
        self.found.push(finding);
    }

    fn add_with_help(&mut self, code: Code, field: &str, message: String, help: impl Into<String>) {
        self.add(code, field, message);
        let finding = self.found.pop().map(|finding| finding.help(help));
        self.found.extend(finding);
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error: T::Err| self.add(Code::Contract, field, error.to_string())).ok()
    }

    /// Nickel has one kind of number; what is counted here is whole and not negative.
    fn whole(&mut self, field: &str, number: f64) -> u64 {
        /// 2^53: beyond it, not every whole number has a place in a double.
        const LARGEST: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && (0.0..=LARGEST).contains(&number) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
            return number as u64;
        }
        self.add(Code::Contract, field, format!("{number} is not a whole number from 0 on"));
        0
    }

    fn optional(&mut self, field: &str, number: Option<f64>) -> Option<u64> {
        number.map(|number| self.whole(field, number))
    }

    /// A number of `.build-spec.ncl`, with the bounds of its contract.
    fn bounded(&mut self, field: &str, number: Option<f64>, most: u64) -> Option<u64> {
        let number = self.optional(field, number)?;
        if !(1..=most).contains(&number) {
            self.add(Code::Contract, field, format!("{number} is not between 1 and {most}"));
        }
        Some(number)
    }

    fn base(&mut self, field: &str, layer: Option<&str>, image: Option<&str>) -> Option<Base> {
        match (layer, image) {
            (Some(layer), None) => self.parse(&format!("{field}.layer"), layer).map(Base::Layer),
            (None, Some(image)) => self.parse(&format!("{field}.image"), image).map(Base::Image),
            _ => {
                self.add(Code::Contract, field, "a base is a layer or an image, exactly one of both");
                None
            }
        }
    }

    fn inside(&mut self, field: &str, folder: &RelPath, path: &str) -> Option<RelPath> {
        folder.join(path).map_err(|error| self.add(Code::Contract, field, error.to_string())).ok()
    }

    /// A named context. BuildKit reads its name as that of an image, so it has no capital letter.
    fn context(&mut self, name: &str, folder: &RelPath, path: &str) -> Option<RelPath> {
        let field = format!("build.contexts.{name}");
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.ends_with(|last: char| last.is_ascii_alphanumeric())
            && name.bytes().all(allowed);
        if !is_name || name == "scratch" {
            let help = "allowed are a-z, 0-9 and _ . - between them, a letter in front; `scratch` is BuildKit's own";
            self.add_with_help(Code::Contract, &field, format!("`{name}` is no name of a context"), help);
            return None;
        }
        self.inside(&field, folder, path)
    }

    fn tag(&mut self, field: &str, tag: &str) {
        if !is_tag(tag) {
            self.add(Code::Contract, field, format!("`{tag}` is no tag"));
        } else if let Some(own) = OWN_TAGS.iter().find(|own| tag.starts_with(*own)) {
            self.add(Code::Contract, field, format!("`{tag}` is lamina's own: tags for people don't begin with {own}"));
        }
    }

    /// The names of labels or annotations.
    fn labels<'n>(&mut self, field: &str, names: impl Iterator<Item = &'n String>) {
        for name in names {
            let field = format!("{field}.{name}");
            let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte));
            if !is_name {
                let message = format!("`{name}` is no name of a label: allowed are letters, digits and _ . / -");
                self.add(Code::Contract, &field, message);
            } else if name.starts_with(OWN_LABELS) {
                self.add(Code::Contract, &field, format!("`{name}` is lamina's own"));
            }
        }
    }

    fn profiles(&mut self, texts: &[String]) -> Vec<CookProfile> {
        const FIELD: &str = "cooked.profiles";
        if texts.is_empty() {
            let help = "write [\"release\"], or leave the field out";
            self.add_with_help(Code::Contract, FIELD, "no profile is named".to_owned(), help);
        }
        let parse = |(index, text): (usize, &String)| self.parse::<CookProfile>(&format!("{FIELD}[{index}]"), text);
        let profiles: Vec<CookProfile> = texts.iter().enumerate().filter_map(parse).collect();
        let names: Vec<String> = profiles.iter().map(ToString::to_string).collect();
        self.unique(FIELD, "profile", names.iter().map(String::as_str));
        profiles
    }

    fn ceilings(&mut self, raw: &raw::Ceilings) -> Ceilings {
        let mut whole = |name: &str, number: f64| self.whole(&format!("cooked.ceilings.{name}"), number);
        let cone = raw.cone.iter().map(|(name, units)| (name.clone(), whole(&format!("cone.{name}"), *units)));
        let cone = cone.collect();
        let mut optional = |name: &str, number: Option<f64>| number.map(|number| whole(name, number));
        Ceilings {
            packages: optional("packages", raw.packages),
            units: optional("units", raw.units),
            duplicates: optional("duplicates", raw.duplicates),
            second_time: optional("second_time", raw.second_time),
            cpu_s: optional("cpu_s", raw.cpu_s),
            bytes: optional("bytes", raw.bytes),
            cone,
        }
    }

    fn runner(&mut self, field: &str, raw: &raw::Runner) -> RunnerSource {
        let largest = raw.largest.as_ref();
        RunnerSource {
            name: raw.name.clone(),
            provider: raw.provider.clone(),
            capacity: raw.capacity.map(|count| self.whole(&format!("{field}.capacity"), count)),
            platforms: platforms(self, &format!("{field}.platforms"), &raw.platforms),
            largest: largest.map(|size| self.size(&format!("{field}.largest"), size.cpu, size.memory_mb)),
            timeout_s: self.whole(&format!("{field}.timeout_s"), raw.timeout_s),
        }
    }

    fn tier(&mut self, field: &str, raw: &raw::Tier) -> Option<Tier> {
        let size = self.size(field, raw.cpu, raw.memory_mb);
        let platform = self.parse(&format!("{field}.platform"), &raw.platform)?;
        Some(Tier { name: raw.name.clone(), platform, size })
    }

    fn hooks(&mut self, raw: &raw::Hooks) -> Hooks {
        let mut hooks = |field: &str, old: &[Vec<String>], hooks: &[raw::Hook]| -> Vec<Hook> {
            let field = |index: usize| format!("hooks.{field}[{index}]");
            let hooks = hooks.iter().enumerate().map(|(index, hook)| self.hook(&field(index), hook));
            old.iter().cloned().map(Hook::plain).chain(hooks).collect()
        };
        Hooks {
            pre_build: hooks("pre_build", &raw.before_build, &raw.pre_build),
            post_build: hooks("post_build", &raw.after_build, &raw.post_build),
            pre_promote: hooks("pre_promote", &[], &raw.pre_promote),
        }
    }

    fn hook(&mut self, field: &str, raw: &raw::Hook) -> Hook {
        for secret in raw.env.iter().filter(|name| name.starts_with(SECRETS)) {
            let message = format!("{secret} holds a secret, which no hook gets");
            self.add(Code::Contract, &format!("{field}.env"), message);
        }
        let timeout_s = self.whole(&format!("{field}.timeout_s"), raw.timeout_s);
        Hook { command: raw.command.clone(), timeout_s, env: raw.env.clone(), answers: true }
    }

    /// The servers of a NATS. Where a login stands in an address, the line is not shown.
    fn servers(&mut self, url: &str) -> Option<NatsServers> {
        const FIELD: &str = "events.url";
        if let Err(error @ NatsServersError::Login) = url.parse::<NatsServers>() {
            let finding = Diagnostic::new(Code::Contract, error.to_string()).field(FIELD);
            self.found.push(finding.file(self.file.as_str()));
            return None;
        }
        self.parse(FIELD, url)
    }

    fn events(&mut self, raw: &raw::Events) -> Events {
        let servers = raw.url.as_ref().and_then(|url| self.servers(url)).unwrap_or_default();
        if !is_subject(&raw.prefix) {
            let message = format!(
                "`{}` can't begin a subject: allowed are letters, digits, _ and -, with dots between",
                raw.prefix
            );
            self.add(Code::Contract, "events.prefix", message);
        }
        if let Some(workspace) = raw.workspace.as_ref().filter(|workspace| !is_subject_token(workspace)) {
            let message = format!("`{workspace}` is no workspace: allowed are letters, digits, _ and -");
            self.add(Code::Contract, "events.workspace", message);
        }
        Events { servers, prefix: raw.prefix.clone(), workspace: raw.workspace.clone() }
    }

    fn size(&mut self, field: &str, cpu: f64, memory_mb: f64) -> Size {
        Size {
            cpu: self.whole(&format!("{field}.cpu"), cpu),
            memory_mb: self.whole(&format!("{field}.memory_mb"), memory_mb),
        }
    }

    /// What a pipeline beside CI may write.
    fn granted(&mut self, name: &str, layers: &[String]) -> Option<(ActorName, BTreeSet<LayerName>)> {
        let field = format!("caches.granted.{name}");
        let layer = |(index, text): (usize, &String)| self.parse::<LayerName>(&format!("{field}[{index}]"), text);
        let layers = layers.iter().enumerate().filter_map(layer).collect();
        Some((self.parse(&field, name)?, layers))
    }

    /// Its settings become lines of an env-file, which Dockerfiles may have a shell read.
    fn sccache(&mut self, sccache: &Sccache) {
        for (name, value) in sccache.settings() {
            let is_plain = |c: char| !c.is_control() && c != '\'';
            if value.is_empty() || !value.chars().all(is_plain) {
                let message = format!("`{}` can't be a setting of sccache", value.escape_debug());
                let help = "leave quotes and control characters out";
                self.add_with_help(Code::CatalogValue, &format!("sccache.backend.{name}"), message, help);
            }
        }
    }

    fn unique<'n>(&mut self, list: &str, what: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            if !seen.insert(name) {
                let message = format!("the {what} `{name}` is declared twice");
                self.add_with_help(Code::Duplicate, &format!("{list}[{index}]"), message, "remove one of them");
            }
        }
    }
}

/// Checks `catalog/catalog.ncl`.
///
/// # Errors
/// All that is wrong with it.
pub fn catalog(file: &RelPath, raw: &raw::Catalog, spans: &Spans) -> Result<Catalog, Vec<Diagnostic>> {
    let mut findings = Findings { file, layer: None, spans, found: Vec::new() };
    for (name, image) in &raw.images {
        findings.parse::<crate::model::ImageRef>(&format!("images.{name}"), image);
    }
    for (index, glob) in raw.ignored.iter().enumerate() {
        if let Err(error) = globset::Glob::new(glob) {
            findings.add(Code::CatalogValue, &format!("ignored[{index}]"), error.to_string());
        }
    }
    findings.unique("platforms", "platform", raw.platforms.iter().map(String::as_str));
    let platforms = platforms(&mut findings, "platforms", &raw.platforms);
    findings.unique("runners", "runner", raw.runners.iter().map(|runner| runner.name.as_str()));
    let runner = |(index, runner)| findings.runner(&format!("runners[{index}]"), runner);
    let runners = raw.runners.iter().enumerate().map(runner).collect();
    findings.unique("tiers", "tier", raw.tiers.iter().map(|tier| tier.name.as_str()));
    let tier = |(index, tier)| findings.tier(&format!("tiers[{index}]"), tier);
    let tiers = raw.tiers.iter().enumerate().filter_map(tier).collect();
    let events = raw.events.as_ref().map(|events| findings.events(events)).unwrap_or_default();
    let granted = raw.caches.iter().flat_map(|caches| &caches.granted);
    let granted = granted.filter_map(|(name, layers)| findings.granted(name, layers)).collect();
    let sccache = raw.sccache.as_ref().map(|sccache| sccache.backend.clone());
    sccache.iter().for_each(|sccache| findings.sccache(sccache));
    let cache_version = findings.whole("cache_version", raw.cache_version);
    if !findings.found.is_empty() {
        return Err(findings.found);
    }
    Ok(Catalog {
        name: raw.name.clone(),
        rust_version: raw.rust.version.clone(),
        debian_release: raw.debian.release.clone(),
        registry: raw.registry.clone(),
        namespace: raw.namespace.clone(),
        platforms,
        mirrors: raw.mirrors.clone().into_iter().map(|(registry, host)| Mirror { registry, host }).collect(),
        plain_http: raw.plain_http.clone(),
        ignored: raw.ignored.clone(),
        runners,
        tiers,
        events,
        granted,
        sccache,
        cache_version,
    })
}

/// Checks a caller's directives.
///
/// # Errors
/// All that is wrong with them.
pub fn directives(file: &RelPath, raw: &raw::Directives, spans: &Spans) -> Result<Directives, Vec<Diagnostic>> {
    let mut findings = Findings { file, layer: None, spans, found: Vec::new() };
    let name = |(index, name): (usize, &String)| findings.parse::<LayerName>(&format!("layers.names[{index}]"), name);
    let names = raw.layers.names.iter().enumerate().filter_map(name).collect();
    let raw::DirectedLayers { all, changed, since, dependents, only, .. } = raw.layers.clone();
    let size = raw.compute.size.as_ref().map(|size| findings.size("compute.size", size.cpu, size.memory_mb));
    let jobs = raw.compute.jobs.map(|jobs| findings.whole("compute.jobs", jobs));
    let events = raw.events.url.as_ref().and_then(|url| findings.servers(url));
    if !findings.found.is_empty() {
        return Err(findings.found);
    }
    Ok(Directives {
        workspace: raw.workspace.clone(),
        layers: DirectedLayers { names, all, changed, since, dependents, only },
        runners: raw.compute.runners.clone(),
        size,
        jobs,
        registry: raw.registry.clone().map(|registry| (registry.host, registry.namespace)),
        actor: raw.cache.actor.clone(),
        disposition: raw.cache.disposition,
        store: raw.cache.store,
        promote: raw.promote,
        events,
        prefix: raw.events.prefix.clone(),
    })
}

/// Checks a `workflow.ncl`. `catalog` gives what the layer leaves to it.
///
/// # Errors
/// All that is wrong with it.
pub fn layer(
    file: &RelPath,
    name: &LayerName,
    raw: &raw::Workflow,
    spans: &Spans,
    catalog: Option<&Catalog>,
) -> Result<Layer, Vec<Diagnostic>> {
    let folder = file.parent().unwrap_or_default();
    let mut findings = Findings { file, layer: Some(name), spans, found: Vec::new() };
    if raw.layer != name.as_str() {
        let message = format!("the layer in {folder} calls itself `{}`", raw.layer);
        let help = format!("write layer = \"{name}\", or rename the folder");
        findings.add_with_help(Code::LayerName, "layer", message, help);
    }
    let build_base = findings.base("build_base", raw.build_base.layer.as_deref(), raw.build_base.image.as_deref());
    let runtime_base =
        findings.base("runtime_base", raw.runtime_base.layer.as_deref(), raw.runtime_base.image.as_deref());
    let mut donors = Vec::new();
    for (index, donor) in raw.donors.iter().enumerate() {
        let base = findings.base(&format!("donors[{index}]"), donor.layer.as_deref(), donor.image.as_deref());
        if let Some(base) = base {
            let arg = donor.arg.clone().unwrap_or_else(|| Donor::default_arg(&base));
            donors.push(Donor { base, arg });
        }
    }
    findings.unique("donors", "argument", donors.iter().map(|donor| donor.arg.as_str()));
    findings.unique("native_deps", "package", raw.native_deps.iter().map(|dep| dep.package.as_str()));
    findings.unique("tools_provided", "tool", raw.tools_provided.iter().map(|tool| tool.name.as_str()));
    findings.unique("artifact_paths", "path", raw.artifact_paths.iter().map(|artifact| artifact.path.as_str()));
    for (index, tag) in raw.tags.iter().enumerate() {
        findings.tag(&format!("tags[{index}]"), tag);
    }
    findings.unique("tags", "tag", raw.tags.iter().map(String::as_str));
    for (index, secret) in raw.build.secrets.iter().enumerate().filter(|(_, secret)| !is_identifier(&secret.id)) {
        // A builder reads `id=ID,src=FILE`: an id with a comma could name a file of the machine that builds.
        let message = format!("`{}` is no id of a secret: allowed are letters, digits and _ . + -", secret.id);
        findings.add(Code::Contract, &format!("build.secrets[{index}].id"), message);
    }
    findings.unique("build.secrets", "secret", raw.build.secrets.iter().map(|secret| secret.id.as_str()));
    for (index, id) in raw.build.ssh.iter().enumerate().filter(|(_, id)| !is_identifier(id)) {
        let message = format!("`{id}` is no id of an SSH agent: allowed are letters, digits and _ . + -");
        findings.add(Code::Contract, &format!("build.ssh[{index}]"), message);
    }
    findings.unique("build.ssh", "SSH agent", raw.build.ssh.iter().map(String::as_str));
    findings.labels("build.labels", raw.build.labels.keys());
    findings.labels("build.annotations", raw.build.annotations.keys());
    for reserved in raw.build.args.keys().filter(|name| is_reserved(name)) {
        let message = format!("the build argument {reserved} is lamina's own");
        let help = match reserved.as_str() {
            Cooked::PROFILES_ARG => "name the profiles in cooked.profiles; lamina passes them",
            _ => "name the base in build_base, runtime_base or donors; lamina passes it, pinned",
        };
        findings.add_with_help(Code::Contract, &format!("build.args.{reserved}"), message, help);
    }
    let cooked = raw.cooked.as_ref().and_then(|cooked| {
        let path = findings.inside("cooked.path", &folder, &cooked.path)?;
        let profiles = findings.profiles(&cooked.profiles);
        let is_cooked = |old: &&str| cooked.profiles.iter().any(|profile| profile == old);
        let old = cooked.profile.as_deref().filter(|old| *old != Cooked::DEFAULT_PROFILE && !is_cooked(old));
        if let Some(old) = old {
            let message = format!("`cooked.profile` is a field of older schemas, and `{old}` would not be cooked");
            let help = format!("take schemas/ of this version, and write `profiles = [\"{old}\"]`");
            findings.add_with_help(Code::Contract, "cooked.profile", message, help);
        }
        let units = cooked.units.clone().unwrap_or_else(|| Cooked::default_units(name));
        let ceilings = cooked.ceilings.as_ref().map(|ceilings| findings.ceilings(ceilings)).unwrap_or_default();
        let calls = cooked.calls.clone();
        Some(Cooked { path, profiles, calls, target_dir: cooked.target_dir.clone(), units, ceilings })
    });
    let dockerfile = findings.inside("build.dockerfile", &folder, &raw.build.dockerfile);
    let context = findings.inside("build.context", &folder, &raw.build.context);
    let contexts: BTreeMap<String, RelPath> = raw
        .build
        .contexts
        .iter()
        .filter_map(|(name, path)| Some((name.clone(), findings.context(name, &folder, path)?)))
        .collect();
    let platforms = match &raw.build.platforms {
        Some(own) => {
            findings.unique("build.platforms", "platform", own.iter().map(String::as_str));
            platforms(&mut findings, "build.platforms", own)
        }
        None => catalog.map(|catalog| catalog.platforms.clone()).unwrap_or_default(),
    };
    let said = &raw.build.resources;
    let resources = Resources {
        cpu: findings.optional("build.resources.cpu", said.cpu),
        memory_mb: findings.optional("build.resources.memory_mb", said.memory_mb),
        disk_mb: findings.whole("build.resources.disk_mb", said.disk_mb),
        time_budget_min: findings.optional("build.resources.time_budget_min", said.time_budget_min),
        expected_min: findings.optional("build.resources.expected_min", said.expected_min),
    };
    let cache_version = findings.whole("build.cache_version", raw.build.cache_version);
    let hooks = findings.hooks(&raw.hooks);
    let (Some(build_base), Some(runtime_base), Some(dockerfile), Some(context), true) =
        (build_base, runtime_base, dockerfile, context, findings.found.is_empty())
    else {
        return Err(findings.found);
    };
    let secret = |secret: &raw::Secret| Secret {
        id: secret.id.clone(),
        required: secret.required,
        purpose: secret.purpose.clone(),
    };
    let native_dep = |dep: &raw::NativeDep| NativeDep {
        package: dep.package.clone(),
        library: dep.library.clone(),
        needed: dep.needed,
        source: dep.source,
    };
    let tool =
        |tool: &raw::Tool| Tool { name: tool.name.clone(), probe: tool.probe.clone(), version: tool.version.clone() };
    let artifact =
        |artifact: &raw::Artifact| Artifact { path: artifact.path.clone(), description: artifact.description.clone() };
    Ok(Layer {
        name: name.clone(),
        class: raw.class,
        summary: raw.summary.clone(),
        docs: raw.docs.clone(),
        build_base,
        runtime_base,
        donors,
        native_deps: raw.native_deps.iter().map(native_dep).collect(),
        tools: raw.tools_provided.iter().map(tool).collect(),
        artifacts: raw.artifact_paths.iter().map(artifact).collect(),
        cooked,
        tags: raw.tags.clone(),
        build: Build {
            dockerfile,
            context,
            target: raw.build.target.clone(),
            args: raw.build.args.clone(),
            contexts,
            secrets: raw.build.secrets.iter().map(secret).collect(),
            ssh: raw.build.ssh.clone(),
            network: raw.build.network,
            labels: raw.build.labels.clone(),
            annotations: raw.build.annotations.clone(),
            platforms,
            resources,
            cache_version,
        },
        hooks,
    })
}

/// Checks a `.build-spec.ncl`.
///
/// # Errors
/// All that is wrong with it.
pub fn build_spec(
    file: &RelPath,
    layer: &LayerName,
    raw: &raw::BuildSpec,
    spans: &Spans,
) -> Result<BuildSpec, Vec<Diagnostic>> {
    /// As `schemas/build_spec.ncl` has them.
    const MOST: [u64; 3] = [256, 4 << 20, 1440];
    let mut findings = Findings { file, layer: Some(layer), spans, found: Vec::new() };
    let spec = BuildSpec {
        file: file.clone(),
        cpu: findings.bounded("cpu", raw.cpu, MOST[0]),
        memory_mb: findings.bounded("memory_mb", raw.memory_mb, MOST[1]),
        time_budget_min: findings.bounded("time_budget_min", raw.time_budget_min, MOST[2]),
    };
    if findings.found.is_empty() { Ok(spec) } else { Err(findings.found) }
}

/// As the contract `Identifier` of `schemas/types.ncl`.
fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte))
}

/// The arguments by which lamina passes the bases and the profiles.
fn is_reserved(arg: &str) -> bool {
    arg == Cooked::PROFILES_ARG || arg == "BUILD_BASE" || arg == "RUNTIME_BASE" || arg.starts_with("DONOR_")
}

fn platforms(findings: &mut Findings<'_>, field: &str, texts: &[String]) -> Vec<Platform> {
    let parse = |(index, text): (usize, &String)| findings.parse(&format!("{field}[{index}]"), text);
    texts.iter().enumerate().filter_map(parse).collect()
}
