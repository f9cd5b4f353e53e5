//! Loading a catalog: one pass over all files, all findings at once; a broken layer hides no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::cache::{Cache, Entry};
use super::eval::{self, Job, Kind, Limits, Outcome, Overlay, Record, Sources, WorkerCommand};
use super::spans::Spans;
use super::{ADRS, AXIOMS_FILE, BUILD_SPEC, BUILD_SPEC_SCHEMA, CATALOG_FILE, LAYERS, SCHEMAS, WORKFLOW, convert};
use crate::diag::{Code, Diagnostic};
use crate::model::{Adr, Axiom, BuildSpec, Catalog, Layer, LayerName, RelPath};
use crate::tree::{Entry as TreeEntry, EntryKind, Files, finding};

/// How a catalog is loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Merged over `catalog/catalog.ncl`, in this order.
    pub overlays: Vec<Overlay>,
    /// What evaluation may use.
    pub limits: Limits,
    /// How to start a worker.
    pub worker: WorkerCommand,
}

/// A catalog as far as it could be read, and all that is wrong with the rest.
#[derive(Debug)]
pub struct Loaded {
    /// Its files.
    pub files: Files,
    /// What holds for all layers; `None` where it can't be used.
    pub config: Option<Catalog>,
    /// The files that it is made of, without overlays; every layer depends on them.
    pub config_files: Vec<RelPath>,
    /// The layers that can be used.
    pub layers: BTreeMap<LayerName, LoadedLayer>,
    /// The layers that exist and can't be used.
    pub broken: BTreeSet<LayerName>,
    /// What the files import that can't be used, directly or not, as far as it is known.
    pub broken_imports: BTreeMap<RelPath, Vec<RelPath>>,
    /// The decisions that can be used.
    pub adrs: Vec<LoadedAdr>,
    /// The axioms.
    pub axioms: Vec<Axiom>,
    /// The files that decisions and axioms are made of: a change of them makes no layer stale.
    pub decision_files: BTreeSet<RelPath>,
    /// The files that say how large builds are, and what they import: a change of them makes no layer stale.
    pub spec_files: BTreeSet<RelPath>,
    /// Whether overlays were merged over the catalog.
    pub overlaid: bool,
    /// The overlays that lie in the catalog.
    pub overlay_files: Vec<RelPath>,
    /// What is wrong with the catalog and its layers.
    pub findings: Vec<Diagnostic>,
    /// What is wrong with decisions and axioms.
    pub decision_findings: Vec<Diagnostic>,
}

/// A layer, and where it comes from.
#[derive(Clone, Debug)]
pub struct LoadedLayer {
    /// The layer.
    pub layer: Layer,
    /// Its folder.
    pub folder: RelPath,
    /// Its `workflow.ncl`.
    pub workflow: RelPath,
    /// The files that the workflow imports, directly or not.
    pub imports: Vec<RelPath>,
    /// Where its fields stand.
    pub spans: Spans,
    /// What its build context says of the size of its build.
    pub build_spec: Option<BuildSpec>,
}

/// A decision, and where it comes from.
#[derive(Clone, Debug)]
pub struct LoadedAdr {
    /// The decision.
    pub adr: Adr,
    /// Its file.
    pub file: RelPath,
    /// Where its fields stand.
    pub spans: Spans,
}

impl Sources for Files {
    fn text(&self, path: &RelPath) -> Result<Arc<str>, Box<Diagnostic>> {
        self.require(path).map(|file| file.text)
    }
}

/// What became of a file: from the cache or from evaluation.
type Answer = Result<Arc<Entry>, Vec<Diagnostic>>;

/// Loads the catalog whose files these are.
///
/// # Errors
/// When no worker can be started. All that is wrong with the catalog itself is in the result.
pub fn load(files: Files, options: &Options, cache: &mut Cache) -> Result<Loaded, eval::EvalError> {
    let mut loaded = Loaded {
        files,
        config: None,
        config_files: Vec::new(),
        layers: BTreeMap::new(),
        broken: BTreeSet::new(),
        broken_imports: BTreeMap::new(),
        adrs: Vec::new(),
        axioms: Vec::new(),
        decision_files: BTreeSet::new(),
        spec_files: RelPath::new(BUILD_SPEC_SCHEMA).into_iter().collect(),
        overlaid: !options.overlays.is_empty(),
        overlay_files: options.overlays.iter().filter_map(|overlay| overlay.path.clone()).collect(),
        findings: Vec::new(),
        decision_findings: Vec::new(),
    };
    let jobs = loaded.find_jobs();
    let mut answers = loaded.answer(jobs, options, cache)?;
    // The catalog comes first: layers leave some of their fields to it.
    answers.sort_by(|(a, _), (b, _)| a.cmp(b));
    let layers = answers.split_off(answers.partition_point(|(job, _)| job.kind < Kind::Workflow));
    answers.into_iter().for_each(|(job, answer)| loaded.take_document(cache, job, answer));
    let config = loaded.config.as_ref();
    let converted: Vec<_> =
        layers.into_par_iter().filter_map(|(job, answer)| convert_layer(config, cache, job, answer)).collect();
    for (name, layer) in converted {
        match layer {
            Ok(layer) => drop(loaded.layers.insert(name, layer)),
            Err((findings, file, imports)) => {
                loaded.findings.extend(findings);
                loaded.broken.insert(name);
                loaded.broken_imports.entry(file).or_insert(imports);
            }
        }
    }
    loaded.take_build_specs(options, cache)?;
    Ok(loaded)
}

/// What is wrong with a layer, its file, and what that imports as far as it is known.
type Broken = (Vec<Diagnostic>, RelPath, Vec<RelPath>);

fn convert_layer(
    config: Option<&Catalog>,
    cache: &Cache,
    job: Job,
    answer: Answer,
) -> Option<(LayerName, Result<LoadedLayer, Broken>)> {
    let folder = job.path.parent()?;
    let name: LayerName = folder.file_name().parse().ok()?;
    let imports = answer.as_ref().map(|entry| cache.imports(entry)).unwrap_or_default();
    let layer = answer.and_then(|entry| {
        let Record::Workflow(raw) = &entry.record else { return Err(Vec::new()) };
        let layer = convert::layer(&job.path, &name, raw, &entry.spans, config)?;
        Ok((layer, entry.spans.clone()))
    });
    let layer = match layer {
        Ok((layer, spans)) => Ok(LoadedLayer { layer, folder, workflow: job.path, imports, spans, build_spec: None }),
        Err(findings) => {
            let about = |finding: Diagnostic| Diagnostic { layer: Some(name.to_string()), ..finding };
            Err((findings.into_iter().map(about).collect(), job.path, imports))
        }
    };
    Some((name, layer))
}

impl Loaded {
    /// What became of these files: from the cache, or from evaluation.
    fn answer(
        &mut self,
        jobs: Vec<Job>,
        options: &Options,
        cache: &mut Cache,
    ) -> Result<Vec<(Job, Answer)>, eval::EvalError> {
        let files = &self.files;
        let hash_of = |path: &RelPath| files.require(path).ok().map(|file| file.hash);
        let unchanged = cache.unchanged(hash_of);
        let known: Vec<_> = jobs
            .into_par_iter()
            .map(|job| {
                let entry = files.require(&job.path).map(|file| cache.find(&job, &file.hash, &unchanged).cloned());
                (job, entry)
            })
            .collect();
        let mut answers: Vec<(Job, Answer)> = Vec::with_capacity(known.len());
        let mut unknown = Vec::new();
        for (job, entry) in known {
            match entry {
                Ok(Some(entry)) => answers.push((job, Ok(entry))),
                Ok(None) => unknown.push(job),
                Err(finding) => answers.push((job, Err(vec![*finding]))),
            }
        }
        if unknown.is_empty() {
            return Ok(answers);
        }
        let outcomes = eval::evaluate(&unknown, files, &options.overlays, &options.limits, &options.worker)?;
        for Outcome { job, imports, result } in outcomes {
            if result.is_err() {
                self.broken_imports.insert(job.path.clone(), imports.clone());
            }
            let answer = result.map(|evaluated| {
                let imports = imports.into_iter().filter_map(|path| Some((path.clone(), hash_of(&path)?)));
                let hash = hash_of(&job.path).unwrap_or_default();
                cache.insert(job.clone(), hash, imports, evaluated.record, Spans::encode(&evaluated.spans))
            });
            answers.push((job, answer));
        }
        Ok(answers)
    }

    /// Reads what build contexts say of the sizes of their builds. Which folders these are, the layers say.
    fn take_build_specs(&mut self, options: &Options, cache: &mut Cache) -> Result<(), eval::EvalError> {
        let mut layers: BTreeMap<RelPath, Vec<LayerName>> = BTreeMap::new();
        for loaded in self.layers.values() {
            if let Ok(path) = loaded.layer.build.context.join(BUILD_SPEC) {
                layers.entry(path).or_default().push(loaded.layer.name.clone());
            }
        }
        let is_there = |path: &RelPath| !matches!(self.files.text(path), Ok(None));
        let there: Vec<RelPath> = layers.keys().cloned().collect::<Vec<_>>().into_par_iter().filter(is_there).collect();
        let jobs: Vec<Job> = there.into_iter().map(|path| Job { kind: Kind::BuildSpec, path }).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let mut answers = self.answer(jobs, options, cache)?;
        answers.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (Job { path, .. }, answer) in answers {
            let names = layers.remove(&path).unwrap_or_default();
            let Some(first) = names.first() else { continue };
            let spec = answer.and_then(|entry| {
                self.spec_files.extend(cache.imports(&entry));
                let Record::BuildSpec(raw) = &entry.record else { return Err(Vec::new()) };
                convert::build_spec(&path, first, raw, &entry.spans)
            });
            self.spec_files.insert(path);
            match spec {
                Ok(spec) => {
                    for name in &names {
                        if let Some(loaded) = self.layers.get_mut(name) {
                            loaded.build_spec = Some(spec.clone());
                        }
                    }
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
        Ok(())
    }

    /// All files that have to be evaluated. What can't be one is a finding.
    fn find_jobs(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let path = |path: &str| RelPath::new(path).unwrap_or_default();
        let catalog = Job { kind: Kind::Catalog, path: path(CATALOG_FILE) };
        match self.files.text(&catalog.path) {
            Ok(Some(_)) => jobs.push(catalog),
            Ok(None) => self.findings.push(
                Diagnostic::new(Code::Import, format!("{CATALOG_FILE} does not exist"))
                    .file(CATALOG_FILE)
                    .help("a catalog has this file at its root"),
            ),
            Err(finding) => self.findings.push(*finding),
        }
        let axioms = path(AXIOMS_FILE);
        if !matches!(self.files.text(&axioms), Ok(None)) {
            jobs.push(Job { kind: Kind::Axioms, path: axioms });
        }
        match self.files.tree().members(&path(ADRS)) {
            Ok(members) => {
                let adrs = members.into_iter().filter(|entry| entry.path.as_str().ends_with(".ncl"));
                jobs.extend(adrs.map(|entry| Job { kind: Kind::Adr, path: entry.path }));
            }
            Err(error) => self.decision_findings.push(finding(&error)),
        }
        let members = match self.files.tree().members(&path(LAYERS)) {
            Ok(members) => members,
            Err(error) => {
                self.findings.push(finding(&error));
                return jobs;
            }
        };
        let found: Vec<_> = members.into_par_iter().filter_map(|entry| self.layer_job(&entry)).collect();
        for job in found {
            match job {
                Ok(job) => jobs.push(job),
                Err(finding) => {
                    self.broken.extend(finding.layer.as_deref().and_then(|name| name.parse().ok()));
                    self.findings.push(*finding);
                }
            }
        }
        jobs
    }

    /// The layer in a member of layers/; `None` for a file, which is none.
    fn layer_job(&self, entry: &TreeEntry) -> Option<Result<Job, Box<Diagnostic>>> {
        let folder = &entry.path;
        let wrong = |message: String, help: &str| {
            let finding = Diagnostic::new(Code::LayerFolder, message).file(folder.as_str());
            Some(Err(Box::new(finding.layer(folder.file_name()).help(help))))
        };
        match entry.kind {
            EntryKind::Folder => {}
            EntryKind::File | EntryKind::Special => return None,
            EntryKind::Link => {
                return wrong(format!("{folder} is a link"), "make it a folder, or move it out of layers/");
            }
            EntryKind::Unnamed => {
                return wrong(format!("the name of {folder} is not UTF-8"), "rename it, or move it out of layers/");
            }
        }
        if let Err(error) = folder.file_name().parse::<LayerName>() {
            return wrong(error.to_string(), "rename the folder, or move it out of layers/");
        }
        let path = folder.join(WORKFLOW).unwrap_or_default();
        match self.files.text(&path) {
            Ok(Some(_)) => Some(Ok(Job { kind: Kind::Workflow, path })),
            Ok(None) => {
                let help = format!("write one (see {SCHEMAS}/workflow.ncl), or move the folder away");
                wrong(format!("{folder} holds no {WORKFLOW}"), &help)
            }
            Err(finding) => Some(Err(Box::new(finding.layer(folder.file_name())))),
        }
    }

    fn take_document(&mut self, cache: &Cache, job: Job, answer: Answer) {
        if job.kind != Kind::Catalog {
            self.decision_files.insert(job.path.clone());
        }
        let entry = match answer {
            Ok(entry) => entry,
            Err(findings) if job.kind == Kind::Catalog => return self.findings.extend(findings),
            Err(findings) => return self.decision_findings.extend(findings),
        };
        match &entry.record {
            Record::Catalog(raw) => {
                match convert::catalog(&job.path, raw, &entry.spans) {
                    Ok(config) => self.config = Some(config),
                    Err(findings) => self.findings.extend(findings),
                }
                self.config_files = cache.imports(&entry);
                self.config_files.push(job.path);
            }
            Record::Axioms(axioms) => {
                self.axioms = axioms.clone();
                self.decision_files.extend(cache.imports(&entry));
            }
            Record::Adr(adr) => {
                self.adrs.push(LoadedAdr { adr: adr.clone(), file: job.path, spans: entry.spans.clone() });
                self.decision_files.extend(cache.imports(&entry));
            }
            Record::Workflow(_) | Record::Directives(_) | Record::BuildSpec(_) => {}
        }
    }
}
