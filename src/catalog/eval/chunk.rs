//! A chunk of jobs through as many workers, one after the other, as it takes.

use std::ops::Range;

use super::protocol::{Finished, Missing, Task};
use super::supervise::{self, Ending};
use super::supply::Supply;
use super::{EvalError, Job, Limits, Outcome, WorkerCommand};
use crate::diag::{Code, Diagnostic};

/// After so many files that broke a worker, the rest of the chunk is left alone.
const MAX_CULPRITS: usize = 5;
/// A job that asks for more files than this, one after the other, gets no further one.
const MAX_QUESTIONS: usize = 64;

/// Nickel stops at a field that the contract does not know. So many times such fields are blanked out, to see what
/// else is wrong.
const MAX_REPAIRS: usize = 8;
/// So many files are looked at again; each has its first finding already.
const MAX_REPAIRED: usize = 20;

/// Evaluates `jobs`; the outcomes come in their order.
pub(super) fn run(
    jobs: &[Job],
    supply: Supply<'_>,
    limits: &Limits,
    worker: &WorkerCommand,
) -> Result<Vec<Outcome>, EvalError> {
    let mut blank = supply.again();
    let (mut outcomes, mut unknown) = evaluate(jobs, supply, limits, worker)?;
    for _ in 0..MAX_REPAIRS {
        unknown.truncate(MAX_REPAIRED);
        for (index, spans) in &unknown {
            blank.blank(&jobs[*index].path, spans);
        }
        let again: Vec<Job> = unknown.iter().map(|(index, _)| jobs[*index].clone()).collect();
        if again.is_empty() {
            break;
        }
        let (repaired, more) = evaluate(&again, blank.again(), limits, worker)?;
        for ((index, _), repaired) in unknown.iter().zip(repaired) {
            if let (Err(findings), Err(more)) = (&mut outcomes[*index].result, repaired.result) {
                // That a misspelled field is missing goes without saying.
                let misspelled = |finding: &Diagnostic| {
                    let name = finding.field.as_deref().and_then(|field| field.rsplit('.').next()).unwrap_or_default();
                    let hint = format!("did you mean `{name}`?");
                    finding.code == Code::MissingField && findings.iter().any(|known| known.help.contains(&hint))
                };
                let more: Vec<_> = more.into_iter().filter(|finding| !misspelled(finding)).collect();
                findings.extend(more);
            }
        }
        unknown = more.into_iter().map(|(index, spans)| (unknown[index].0, spans)).collect();
    }
    Ok(outcomes)
}

/// By the job's index: the definitions of fields that the contract does not know.
type Unknown = Vec<(usize, Vec<Range<usize>>)>;

fn evaluate(
    jobs: &[Job],
    mut supply: Supply<'_>,
    limits: &Limits,
    worker: &WorkerCommand,
) -> Result<(Vec<Outcome>, Unknown), EvalError> {
    let mut unknown_fields = Unknown::new();
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    for job in jobs {
        outcomes.push(supply.add(&job.path).err().map(|finding| failed(job, *finding)));
    }
    let mut culprits = 0;
    let mut questions = vec![0; jobs.len()];
    let mut suspect: Option<usize> = None;
    let mut most = jobs.len();
    loop {
        let mut waiting: Vec<usize> = (0..jobs.len()).filter(|index| outcomes[*index].is_none()).collect();
        if waiting.is_empty() {
            return Ok((outcomes.into_iter().flatten().collect(), unknown_fields));
        }
        waiting.truncate(most);
        if let Some(index) = suspect.filter(|index| outcomes[*index].is_none()) {
            waiting = vec![index];
        }
        supply.prefetch();
        let sent = supply.sources().len();
        let task = task(waiting.iter().map(|index| jobs[*index].clone()).collect(), sent, limits);
        let mut missing: Vec<(usize, Missing)> = Vec::new();
        let ending = supervise::run(worker, &task, supply.sources(), limits.time, |number, finished| {
            let Some(&index) = waiting.get(number) else {
                return;
            };
            let job = jobs[index].clone();
            outcomes[index] = match finished {
                Finished::Evaluated { imports, evaluated } => Some(Outcome { job, imports, result: Ok(*evaluated) }),
                Finished::Failed { imports, findings, unknown } => {
                    if !unknown.is_empty() {
                        unknown_fields.push((index, unknown));
                    }
                    let findings = findings.into_iter().map(|finding| in_file(&job, finding)).collect();
                    Some(Outcome { job, imports, result: Err(findings) })
                }
                Finished::Missing(question) => {
                    missing.push((index, question));
                    None
                }
            };
        })?;

        if missing.is_empty() && matches!(ending, Ending::Complete) && waiting.iter().any(|i| outcomes[*i].is_none()) {
            return Err(EvalError::Worker { reason: "it left out a file".to_owned() });
        }
        for (index, question) in missing {
            questions[index] += 1;
            let answer = if questions[index] <= MAX_QUESTIONS {
                supply.resolve(&question, sent)
            } else {
                let message = format!("imports are nested more than {MAX_QUESTIONS} files deep");
                Err(Box::new(supply.at_import(Diagnostic::new(Code::Import, message), &question)))
            };
            outcomes[index] = answer.err().map(|finding| failed(&jobs[index], *finding));
        }
        if let Ending::Culprit { job, finding } = ending {
            let culprit = waiting.get(job).copied();
            // The worker's memory holds what the jobs before it left: a job is to blame only for what it needs alone.
            if finding.code == Code::LimitMemory && waiting.len() > 1 {
                suspect = culprit;
                most = waiting.len().div_ceil(2);
                continue;
            }
            if let Some(index) = culprit {
                outcomes[index] = Some(failed(&jobs[index], finding));
            }
            culprits += 1;
            most = jobs.len();
        }
        if culprits == MAX_CULPRITS {
            for (job, outcome) in jobs.iter().zip(&mut outcomes) {
                outcome.get_or_insert_with(|| {
                    let message = "not evaluated: too many other files broke the evaluator";
                    failed(job, Diagnostic::new(Code::NotEvaluated, message))
                });
            }
        }
    }
}

fn task(jobs: Vec<Job>, sources: usize, limits: &Limits) -> Task {
    // Each job has two steps, and the evaluator has to be loaded; the deadlines are stricter than this.
    let steps = jobs.len() as u64 * 2;
    let cpu = (limits.time.as_secs() + 1).saturating_mul(steps).saturating_add(60);
    Task { jobs, sources, memory: limits.memory_mb.saturating_mul(1 << 20), cpu }
}

fn failed(job: &Job, finding: Diagnostic) -> Outcome {
    Outcome { job: job.clone(), imports: Vec::new(), result: Err(vec![in_file(job, finding)]) }
}

/// A finding without a place is about the job's file.
fn in_file(job: &Job, mut finding: Diagnostic) -> Diagnostic {
    if finding.main_file().is_none() {
        finding.file = Some(job.path.as_str().to_owned());
    }
    finding
}
