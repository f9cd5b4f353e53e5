//! A caller's directives: one file, from the catalog or from elsewhere, evaluated as the catalog's own files are.

use std::sync::Arc;

use super::eval::{self, EvalError, Job, Kind, Outcome, Overlay, Record, Sources};
use super::spans::Spans;
use super::{Options, convert};
use crate::diag::Diagnostic;
use crate::model::{Directives, RelPath};
use crate::tree::Files;

/// The catalog's files, and one more that need not lie among them.
struct With<'a> {
    files: &'a Files,
    path: RelPath,
    text: Arc<str>,
}

impl Sources for With<'_> {
    fn text(&self, path: &RelPath) -> Result<Arc<str>, Box<Diagnostic>> {
        if *path == self.path { Ok(Arc::clone(&self.text)) } else { Sources::text(self.files, path) }
    }
}

/// Where directives count as lying: where they do, or else at the catalog's root, so that they can import its schemas.
pub fn place(file: &Overlay) -> RelPath {
    let name = || file.name.rsplit('/').next().and_then(|name| RelPath::new(name).ok());
    let has_name = |path: &RelPath| path.as_str().ends_with(".ncl");
    file.path
        .clone()
        .or_else(name)
        .filter(has_name)
        .unwrap_or_else(|| RelPath::new("directives.ncl").unwrap_or_default())
}

/// Evaluates and checks directives; findings name them by their [`place`].
///
/// # Errors
/// When no worker can be started; inside, all that is wrong with them.
pub fn directives(
    files: &Files,
    file: &Overlay,
    options: &Options,
) -> Result<Result<Directives, Vec<Diagnostic>>, EvalError> {
    let path = place(file);
    let sources = With { files, path: path.clone(), text: Arc::clone(&file.text) };
    let job = Job { kind: Kind::Directives, path: path.clone() };
    let outcomes = eval::evaluate(&[job], &sources, &options.overlays, &options.limits, &options.worker)?;
    let Some(Outcome { result, .. }) = outcomes.into_iter().next() else {
        return Err(EvalError::Worker { reason: "it gave no answer".to_owned() });
    };
    Ok(result.and_then(|evaluated| match evaluated.record {
        Record::Directives(raw) => convert::directives(&path, &raw, &Spans::encode(&evaluated.spans)),
        _ => Err(Vec::new()),
    }))
}
