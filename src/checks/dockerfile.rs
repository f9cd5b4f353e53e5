//! Each Dockerfile against its workflow: the edges of the graph are those that BuildKit will follow.

use std::collections::BTreeSet;
use std::ops::Range;

use globset::GlobBuilder;

use crate::catalog::LoadedLayer;
use crate::diag::{Code, Diagnostic};
use crate::dockerfile::{Dockerfile, Reference, Target};
use crate::fingerprint::ContextFolder;
use crate::model::{Base, Cooked, EdgeKind, ImageRef, RelPath};
use crate::snapshot::{Snapshot, at_field};

pub(super) const CODES: &[Code] = &[
    Code::DockerfileMissing,
    Code::DockerfileSyntax,
    Code::FromUndeclared,
    Code::BaseUnused,
    Code::DonorUnused,
    Code::FinalStageBase,
    Code::ArgDefault,
    Code::ArgUndeclared,
    Code::SecretUndeclared,
    Code::SshUndeclared,
    Code::ContextUnused,
    Code::ContextEmpty,
    Code::ContextName,
    Code::DonorStage,
    Code::TargetUnknown,
    Code::CopySource,
];

/// Arguments that BuildKit knows without an `ARG` line, from the Dockerfile reference ("Predefined ARGs").
const PREDEFINED: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH"];

pub(super) fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    snapshot.layers().flat_map(|loaded| check_layer(snapshot, loaded)).collect()
}

fn check_layer(snapshot: &Snapshot, loaded: &LoadedLayer) -> Vec<Diagnostic> {
    let layer = &loaded.layer;
    let file = match snapshot.catalog.files.text(&layer.build.dockerfile) {
        Ok(Some(file)) => file,
        Ok(None) => {
            let message = format!("{} does not exist", layer.build.dockerfile);
            return vec![at_field(loaded, Code::DockerfileMissing, "build.dockerfile", message)];
        }
        Err(finding) => return vec![finding.layer(layer.name.as_str())],
    };
    let dockerfile = match Dockerfile::parse(layer.build.dockerfile.as_str(), &file.text) {
        Ok(dockerfile) => dockerfile,
        Err(finding) => return vec![finding.layer(layer.name.as_str())],
    };
    let Some(last) = dockerfile.final_stage(layer.build.target.as_deref()) else {
        let target = layer.build.target.as_deref().unwrap_or_default();
        let message = format!("{} has no stage `{target}`", layer.build.dockerfile);
        return vec![at_field(loaded, Code::TargetUnknown, "build.target", message)];
    };
    let mut check = Checked { snapshot, loaded, dockerfile: &dockerfile, last, findings: Vec::new() };
    check.references();
    check.final_stage();
    check.arguments();
    check.donor();
    check.secrets();
    check.ssh();
    check.contexts();
    check.sources();
    check.findings
}

struct Checked<'a> {
    snapshot: &'a Snapshot,
    loaded: &'a LoadedLayer,
    dockerfile: &'a Dockerfile,
    last: usize,
    findings: Vec<Diagnostic>,
}

impl Checked<'_> {
    /// A finding at a place of the Dockerfile.
    fn at(&self, code: Code, span: &Range<usize>, message: String) -> Diagnostic {
        let file = self.loaded.layer.build.dockerfile.as_str();
        Diagnostic::new(code, message).layer(self.loaded.layer.name.as_str()).label(file, span.clone(), "")
    }

    /// A finding at a place of the workflow.
    fn at_field(&self, code: Code, field: &str, message: String) -> Diagnostic {
        at_field(self.loaded, code, field, message)
    }

    /// FROM, COPY --from and RUN --mount=from use what is declared, and all that is declared is used.
    fn references(&mut self) {
        let mut used: BTreeSet<String> = BTreeSet::new();
        let contexts = &self.loaded.layer.build.contexts;
        for stage in self.dockerfile.reachable(self.last) {
            let from = &self.dockerfile.stages[stage].from;
            match self.dockerfile.target(from, stage) {
                Target::Stage(_) | Target::Scratch => {}
                Target::StageOf(_) => self.platforms(from, stage),
                Target::Arg(name) if self.loaded.layer.edges().any(|edge| edge.arg == name) => {
                    used.insert(name.to_owned());
                }
                Target::Arg(name) => self.undeclared_arg(from, name),
                Target::Literal(name) if contexts.contains_key(&name) => {}
                Target::Literal(image) => self.undeclared_image(from, &image),
            }
            for reference in &self.dockerfile.stages[stage].uses {
                match self.dockerfile.target(reference, stage) {
                    Target::Stage(_) | Target::Scratch => {}
                    Target::Arg(_) | Target::StageOf(_) => {
                        let message =
                            format!("`{}` has an argument, which BuildKit does not expand here", reference.text);
                        let finding = self.at(Code::FromUndeclared, &reference.span, message);
                        let help = format!("write `FROM {} AS NAME` and copy from that stage", reference.text);
                        self.findings.push(finding.help(help));
                    }
                    Target::Literal(name) if contexts.contains_key(&name) => {}
                    Target::Literal(image) => self.undeclared_image(reference, &image),
                }
            }
        }
        let layer = &self.loaded.layer;
        let same = layer.build_base == layer.runtime_base;
        for edge in layer.edges() {
            let is_used = used.contains(edge.arg) || (same && edge.kind == EdgeKind::Runtime);
            if is_used {
                continue;
            }
            let code = if edge.kind == EdgeKind::Donor { Code::DonorUnused } else { Code::BaseUnused };
            let message = format!("no stage of {} starts from ${{{}}}", layer.build.dockerfile, edge.arg);
            let help = format!("write `ARG {}=IMAGE` before the first FROM, and `FROM ${{{}}}`", edge.arg, edge.arg);
            let finding = self.at_field(code, &edge.field(), message).help(help);
            self.findings.push(finding);
        }
    }

    /// A stage whose name has the platform in it is there for each platform of the layer.
    fn platforms(&mut self, from: &Reference, stage: usize) {
        for platform in &self.loaded.layer.build.platforms {
            if let Some(name) = self.dockerfile.missing_for(from, platform.as_str(), stage) {
                let message = format!("`{}` is `{name}` for {platform}, and no stage has that name", from.text);
                let finding = self.at(Code::FromUndeclared, &from.span, message);
                let help = format!("write a stage `{name}` before this one, or remove {platform} from build.platforms");
                self.findings.push(finding.help(help));
            }
        }
    }

    fn undeclared_arg(&mut self, from: &Reference, name: &str) {
        let layer = &self.loaded.layer;
        let declared: Vec<String> = layer.edges().map(|edge| format!("${{{}}}", edge.arg)).collect();
        let message = format!("the argument {name} stands for no base and no donor of {}", layer.name);
        let finding = self.at(Code::FromUndeclared, &from.span, message);
        self.findings.push(finding.help(format!("the workflow declares {}", declared.join(", "))));
    }

    fn undeclared_image(&mut self, reference: &Reference, image: &str) {
        let layer = &self.loaded.layer;
        let message = format!("{} uses the image {image}, which its workflow does not declare", layer.name);
        let mut finding = self.at(Code::FromUndeclared, &reference.span, message);
        let parsed: Option<ImageRef> = image.split('@').next().and_then(|image| image.parse().ok());
        let declared = parsed.as_ref().and_then(|image| {
            layer.edges().find(|edge| matches!(edge.base, Base::Image(declared) if declared == image))
        });
        finding = match (declared, parsed) {
            (Some(edge), _) => finding.help(format!("take it by its argument, which lamina pins: ${{{}}}", edge.arg)),
            (None, Some(image)) => {
                let arg = crate::model::Donor::default_arg(&Base::Image(image.clone()));
                finding.help(format!("add {{ image = \"{}\" }} to `donors`", image.familiar())).help(format!(
                    "write `ARG {arg}={}`, `FROM ${{{arg}}} AS NAME`, and copy from NAME",
                    image.familiar()
                ))
            }
            (None, None) => finding.help("no stage before this one has that name"),
        };
        self.findings.push(finding);
    }

    /// The finished image stands on the runtime base.
    fn final_stage(&mut self) {
        let layer = &self.loaded.layer;
        let mut stage = self.last;
        let from = loop {
            let from = &self.dockerfile.stages[stage].from;
            match self.dockerfile.target(from, stage) {
                Target::Stage(parent) => stage = parent,
                Target::StageOf(parents) if !parents.is_empty() => stage = parents[0],
                target => break (from, target),
            }
        };
        let is_right = match &from.1 {
            Target::Arg("RUNTIME_BASE") => true,
            Target::Arg("BUILD_BASE") => layer.build_base == layer.runtime_base,
            _ => false,
        };
        if is_right {
            return;
        }
        let message = format!("the image of {} stands on `{}`, not on its runtime base", layer.name, from.0.text);
        let finding = self.at(Code::FinalStageBase, &from.0.span, message);
        let runtime = format!("the workflow declares runtime_base = {}", layer.runtime_base);
        self.findings.push(finding.note(runtime).help("start the final stage `FROM ${RUNTIME_BASE}`"));
    }

    /// Bases have external defaults, and the values of both files agree.
    fn arguments(&mut self) {
        let layer = &self.loaded.layer;
        for edge in layer.edges() {
            let Some(arg) = self.dockerfile.global_arg(edge.arg) else {
                let starts = self.dockerfile.stages.iter().find(
                    |stage| matches!(self.dockerfile.target(&stage.from, 0), Target::Arg(name) if name == edge.arg),
                );
                if let Some(stage) = starts {
                    let message = format!("{} is not declared before the first FROM", edge.arg);
                    let finding = self.at(Code::ArgDefault, &stage.from.span, message);
                    self.findings.push(finding.help(format!("write `ARG {}=IMAGE` at the top", edge.arg)));
                }
                continue;
            };
            let default = self.dockerfile.global_default(arg);
            let declared = match edge.base {
                Base::Image(image) if !self.snapshot.catalog.overlaid => Some(image),
                _ => None,
            };
            let message = match (default.parse::<ImageRef>(), declared) {
                (Err(_), _) if default.is_empty() => format!("{} has no default", edge.arg),
                (Err(error), _) => format!("the default of {}: {error}", edge.arg),
                (Ok(default), Some(image)) if default != *image => {
                    let (default, image) = (default.familiar(), image.familiar());
                    format!("{} is {default} by default, but {image} in the workflow", edge.arg)
                }
                _ => continue,
            };
            let finding = self.at(Code::ArgDefault, &arg.span, message);
            let example = declared.map_or_else(|| "rust:1.97.1-slim-trixie".to_owned(), ImageRef::familiar);
            let help = format!("with `ARG {}={example}` it also builds with plain `docker build`", edge.arg);
            self.findings.push(finding.help(help));
        }
        let declared =
            layer.build.args.iter().map(|(name, value)| (format!("build.args.{name}"), name.as_str(), value.clone()));
        let profiles = layer
            .cooked
            .as_ref()
            .map(|cooked| ("cooked.profiles".to_owned(), Cooked::PROFILES_ARG, cooked.profiles_arg()));
        for (field, name, value) in declared.chain(profiles) {
            let mut declarations = self.dockerfile.all_args().filter(|arg| arg.name == name).peekable();
            if declarations.peek().is_none() {
                let is_known = PREDEFINED.iter().any(|known| known.eq_ignore_ascii_case(name))
                    || name.starts_with("BUILDKIT_")
                    // What cooks in the one way that needs no argument takes none.
                    || (name == Cooked::PROFILES_ARG && value == Cooked::DEFAULT_PROFILE);
                if !is_known {
                    let message = format!("{} has no `ARG {name}`, so the value has no effect", layer.build.dockerfile);
                    let finding = self.at_field(Code::ArgUndeclared, &field, message);
                    self.findings.push(finding.help(format!("add `ARG {name}={}`", quoted(&value))));
                }
                continue;
            }
            let other = declarations.find(|arg| arg.default.as_ref().is_some_and(|default| *default != value));
            if let Some(arg) = other.filter(|_| !self.snapshot.catalog.overlaid) {
                let default = arg.default.as_deref().unwrap_or_default();
                let message = format!("{name} is `{default}` by default, but `{value}` in the workflow");
                let finding = self.at(Code::ArgDefault, &arg.span, message);
                self.findings.push(finding.help(format!("write `ARG {name}={}`", quoted(&value))));
            }
        }
    }

    /// The stage that an earlier image stands in for is empty, and nothing of it gets into the image but by a `RUN`
    /// that mounts it: what was built then is no input.
    fn donor(&mut self) {
        let Some(donor) = self.dockerfile.from_scratch(Cooked::DONOR_STAGE) else { return };
        if self.loaded.layer.cooked.is_none() {
            return;
        }
        if let Some(step) = self.dockerfile.stages[donor].steps.first() {
            let message = "the stage `donor` has instructions, which are lost where an earlier image stands in for it";
            let finding = self.at(Code::DonorStage, step, message.to_owned());
            self.findings.push(finding.help("leave `FROM scratch AS donor` empty, or give the stage another name"));
        }
        for stage in self.dockerfile.reachable(self.last) {
            for reference in std::iter::once(&self.dockerfile.stages[stage].from)
                .chain(&self.dockerfile.stages[stage].uses)
                .filter(|reference| !reference.mounted)
            {
                if self.dockerfile.target(reference, stage) == Target::Stage(donor) {
                    let message = "an earlier image gets into this one as it is, whatever the inputs are now";
                    let finding = self.at(Code::DonorStage, &reference.span, message.to_owned());
                    let help = "take it as `RUN --mount=type=bind,from=donor,target=/donor …` alone";
                    self.findings.push(finding.help(help));
                }
            }
        }
    }

    fn secrets(&mut self) {
        let declared: BTreeSet<&str> =
            self.loaded.layer.build.secrets.iter().map(|secret| secret.id.as_str()).collect();
        for stage in self.dockerfile.reachable(self.last) {
            for (id, span) in &self.dockerfile.stages[stage].secrets {
                if !declared.contains(id.as_str()) {
                    let message = format!("the secret `{id}` is not declared in the workflow");
                    let finding = self.at(Code::SecretUndeclared, span, message);
                    self.findings.push(finding.help(format!("add {{ id = \"{id}\" }} to build.secrets")));
                }
            }
        }
    }

    fn ssh(&mut self) {
        let declared = &self.loaded.layer.build.ssh;
        for stage in self.dockerfile.reachable(self.last) {
            for (id, span) in &self.dockerfile.stages[stage].ssh {
                if !declared.contains(id) {
                    let message = format!("the SSH agent `{id}` is not declared in the workflow");
                    let finding = self.at(Code::SshUndeclared, span, message);
                    self.findings.push(finding.help(format!("add \"{id}\" to build.ssh")));
                }
            }
        }
    }

    /// Named contexts are used, and stand in for no stage.
    fn contexts(&mut self) {
        let build = &self.loaded.layer.build;
        let stages = &self.dockerfile.stages;
        let mut used: BTreeSet<String> = BTreeSet::new();
        for stage in self.dockerfile.reachable(self.last) {
            for reference in std::iter::once(&stages[stage].from).chain(&stages[stage].uses) {
                if let Target::Literal(name) = self.dockerfile.target(reference, stage) {
                    used.insert(name);
                }
            }
        }
        for context in ContextFolder::named(&self.loaded.layer) {
            let name = context.name.unwrap_or_default();
            // A context that can't be read is the context check's to report.
            let entries = context.entries(&self.snapshot.catalog.files, &self.loaded.workflow);
            let field = format!("build.contexts.{name}");
            let is_stage =
                stages.iter().any(|stage| stage.name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name)));
            if is_stage {
                let message =
                    format!("{} has a stage `{name}`, and the workflow a context of that name", build.dockerfile);
                let finding = self.at_field(Code::ContextName, &field, message);
                self.findings.push(finding.help("rename one of them: BuildKit would leave the stage out"));
            } else if !used.contains(name) {
                let message = format!("nothing in {} takes the context `{name}`", build.dockerfile);
                let finding = self.at_field(Code::ContextUnused, &field, message);
                self.findings.push(finding.help(format!("copy from it with `COPY --from={name}`, or remove it")));
            } else if entries.is_ok_and(|entries| entries.is_empty()) {
                let message = format!("the context `{name}` has no file: {}", context.folder);
                let finding = self.at_field(Code::ContextEmpty, &field, message);
                self.findings.push(finding.help("it is relative to the layer's folder, and its .dockerignore holds"));
            }
        }
    }

    /// What is copied is there. Names with variables can't be known, and are left alone.
    fn sources(&mut self) {
        let layer = &self.loaded.layer;
        let files = &self.snapshot.catalog.files;
        // A context that can't be read is the context check's to report.
        let Ok(entries) = ContextFolder::main(layer).entries(files, &self.loaded.workflow) else { return };
        let paths: Vec<&str> = entries.iter().filter_map(|entry| entry.path.below(&layer.build.context)).collect();
        let mut findings = Vec::new();
        for stage in self.dockerfile.reachable(self.last) {
            for (source, span) in &self.dockerfile.stages[stage].sources {
                let is_elsewhere = source.contains("://") || source.starts_with("git@") || source.contains('$');
                let Ok(path) = RelPath::new(source.trim_start_matches('/')) else { continue };
                if is_elsewhere || path == RelPath::root() || is_copied(&path, &paths) {
                    continue;
                }
                let message = format!("`{source}` is not in the build context of {}", layer.name);
                let finding = self.at(Code::CopySource, span, message);
                findings.push(finding.note(format!("the context is {}, less its .dockerignore", layer.build.context)));
            }
        }
        self.findings.extend(findings);
    }
}

/// A value as an `ARG` line takes it.
fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() }
}

/// Whether a COPY source names, or matches, a file of the context or a folder with one.
fn is_copied(source: &RelPath, paths: &[&str]) -> bool {
    let folder =
        |path: &str| path.strip_prefix(source.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if paths.iter().any(|path| folder(path)) {
        return true;
    }
    if !source.as_str().contains(['*', '?', '[']) {
        return false;
    }
    let Ok(glob) = GlobBuilder::new(source.as_str()).literal_separator(true).build() else { return false };
    let glob = glob.compile_matcher();
    paths.iter().any(|path| std::path::Path::new(path).ancestors().any(|part| glob.is_match(part)))
}
