//! Loading a catalog: one pass over all files, all findings at once; a broken layer hides no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::cache::{Cache, Entry};
use super::eval::{self, Evaluated, Job, Kind, Limits, Overlay, Record, Sources, WorkerCommand};
use super::spans::Spans;
use super::{ADRS, AXIOMS_FILE, CATALOG_FILE, LAYERS, SCHEMAS, WORKFLOW, convert};
use crate::diag::{Code, Diagnostic};
use crate::model::{Adr, Axiom, Catalog, Layer, LayerName, RelPath};
use crate::tree::{EntryKind, Files, finding};

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
    /// Where the fields of `catalog/catalog.ncl` stand.
    pub config_spans: Spans,
    /// The layers that can be used.
    pub layers: BTreeMap<LayerName, LoadedLayer>,
    /// The layers that exist and can't be used.
    pub broken: BTreeSet<LayerName>,
    /// The decisions that can be used.
    pub adrs: Vec<LoadedAdr>,
    /// The axioms.
    pub axioms: Vec<Axiom>,
    /// The files that decisions and axioms are made of: a change of them makes no layer stale.
    pub decision_files: BTreeSet<RelPath>,
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

/// Loads the catalog whose files these are.
///
/// # Errors
/// When no worker can be started. All that is wrong with the catalog itself is in the result.
pub fn load(files: Files, options: &Options, cache: &mut Cache) -> Result<Loaded, eval::EvalError> {
    let mut loaded = Loaded {
        files,
        config: None,
        config_spans: Spans::default(),
        layers: BTreeMap::new(),
        broken: BTreeSet::new(),
        adrs: Vec::new(),
        axioms: Vec::new(),
        decision_files: BTreeSet::new(),
        overlaid: !options.overlays.is_empty(),
        overlay_files: options.overlays.iter().filter_map(|overlay| overlay.path.clone()).collect(),
        findings: Vec::new(),
        decision_findings: Vec::new(),
    };
    let jobs = loaded.find_jobs();
    let (known, unknown): (Vec<_>, Vec<_>) = jobs
        .into_par_iter()
        .map(|job| {
            let file = loaded.files.require(&job.path);
            let hash_of = |path: &RelPath| loaded.files.require(path).ok().map(|file| file.hash);
            let entry = file.map(|file| cache.find(&job, &file.hash, hash_of));
            (job, entry.map(Option::<&Entry>::cloned))
        })
        .partition(|(_, entry)| matches!(entry, Ok(Some(_)) | Err(_)));
    let mut answers: Vec<(Job, Result<Entry, Vec<Diagnostic>>)> = Vec::new();
    for (job, entry) in known {
        match entry {
            Ok(Some(entry)) => answers.push((job, Ok(entry))),
            Ok(None) => {}
            Err(finding) => answers.push((job, Err(vec![*finding]))),
        }
    }
    let unknown: Vec<Job> = unknown.into_iter().map(|(job, _)| job).collect();
    if !unknown.is_empty() {
        let outcomes = eval::evaluate(&unknown, &loaded.files, &options.overlays, &options.limits, &options.worker)?;
        for outcome in outcomes {
            let entry = outcome.result.map(|evaluated| loaded.entry(&outcome.job, &outcome.imports, evaluated));
            if let Ok(entry) = &entry {
                cache.insert(outcome.job.clone(), entry.clone());
            }
            answers.push((outcome.job, entry));
        }
    }
    // The catalog comes first: layers leave some of their fields to it.
    answers.sort_by(|(a, _), (b, _)| a.cmp(b));
    let layers = answers.split_off(answers.partition_point(|(job, _)| job.kind < Kind::Workflow));
    answers.into_iter().for_each(|(job, answer)| loaded.take_document(job, answer));
    let config = loaded.config.as_ref();
    let converted: Vec<_> =
        layers.into_par_iter().filter_map(|(job, answer)| convert_layer(config, job, answer)).collect();
    for (name, layer) in converted {
        match layer {
            Ok(layer) => drop(loaded.layers.insert(name, layer)),
            Err(findings) => {
                loaded.findings.extend(findings);
                loaded.broken.insert(name);
            }
        }
    }
    Ok(loaded)
}

fn convert_layer(
    config: Option<&Catalog>,
    job: Job,
    answer: Result<Entry, Vec<Diagnostic>>,
) -> Option<(LayerName, Result<LoadedLayer, Vec<Diagnostic>>)> {
    let folder = job.path.parent()?;
    let name: LayerName = folder.file_name().parse().ok()?;
    let layer = answer.and_then(|entry| {
        let Record::Workflow(raw) = entry.record else { return Err(Vec::new()) };
        let layer = convert::layer(&job.path, &name, raw, &entry.spans, config)?;
        let imports = entry.imports.into_iter().map(|(path, _)| path).collect();
        Ok(LoadedLayer { layer, folder, workflow: job.path, imports, spans: entry.spans })
    });
    let layer = layer.map_err(|findings| {
        let about = |finding: Diagnostic| Diagnostic { layer: Some(name.to_string()), ..finding };
        findings.into_iter().map(about).collect()
    });
    Some((name, layer))
}

impl Loaded {
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
        let folders = members.into_iter().filter(|entry| matches!(entry.kind, EntryKind::Folder | EntryKind::Link));
        let found: Vec<_> =
            folders.collect::<Vec<_>>().into_par_iter().map(|entry| self.layer_job(&entry.path)).collect();
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

    fn layer_job(&self, folder: &RelPath) -> Result<Job, Box<Diagnostic>> {
        let name = folder.file_name();
        name.parse::<LayerName>().map_err(|error| {
            let finding = Diagnostic::new(Code::LayerFolder, error.to_string()).file(folder.as_str());
            Box::new(finding.help("rename the folder, or move it out of layers/"))
        })?;
        let path = folder.join(WORKFLOW).unwrap_or_default();
        match self.files.text(&path) {
            Ok(Some(_)) => Ok(Job { kind: Kind::Workflow, path }),
            Ok(None) => {
                let finding = Diagnostic::new(Code::LayerFolder, format!("{folder} holds no {WORKFLOW}"));
                let finding = finding.file(folder.as_str()).layer(name);
                Err(Box::new(finding.help(format!("write one (see {SCHEMAS}/workflow.ncl), or move the folder away"))))
            }
            Err(finding) => Err(Box::new(finding.layer(name))),
        }
    }

    /// Notes which contents a value was computed from.
    fn entry(&self, job: &Job, imports: &[RelPath], evaluated: Evaluated) -> Entry {
        let hash_of = |path: &RelPath| self.files.require(path).map(|file| file.hash).ok();
        let imports = imports.iter().filter_map(|path| Some((path.clone(), hash_of(path)?))).collect();
        let hash = hash_of(&job.path).unwrap_or_default();
        Entry { hash, imports, record: evaluated.record, spans: Spans::encode(&evaluated.spans) }
    }

    fn take_document(&mut self, job: Job, answer: Result<Entry, Vec<Diagnostic>>) {
        if job.kind != Kind::Catalog {
            self.decision_files.insert(job.path.clone());
        }
        let entry = match answer {
            Ok(entry) => entry,
            Err(findings) if job.kind == Kind::Catalog => return self.findings.extend(findings),
            Err(findings) => return self.decision_findings.extend(findings),
        };
        match entry.record {
            Record::Catalog(raw) => {
                match convert::catalog(&job.path, raw, &entry.spans) {
                    Ok(config) => self.config = Some(config),
                    Err(findings) => self.findings.extend(findings),
                }
                self.config_spans = entry.spans;
            }
            Record::Axioms(axioms) => {
                self.axioms = axioms;
                self.decision_files.extend(entry.imports.into_iter().map(|(path, _)| path));
            }
            Record::Adr(adr) => {
                self.adrs.push(LoadedAdr { adr, file: job.path, spans: entry.spans });
                self.decision_files.extend(entry.imports.into_iter().map(|(path, _)| path));
            }
            Record::Workflow(_) => {}
        }
    }
}
