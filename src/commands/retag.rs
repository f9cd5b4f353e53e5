//! Where the catalog says a tag, and how to have it say another one.
//!
//! A tag is rarely written out: `rust:%{rust.version}-slim-%{debian.release}`. So this tries the edits that are
//! likely, one by one, evaluates the catalog with each, and takes the first one after which the catalog names the
//! new image in the place of the old one and is otherwise built on the same images. Defaults in Dockerfiles follow.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::context::Context;
use super::error::CommandError;
use crate::catalog::CATALOG_FILE;
use crate::dockerfile::Dockerfile;
use crate::lock::tag::TagPattern;
use crate::model::{ImageRef, RelPath};
use crate::snapshot::Snapshot;
use crate::tree::EditedTree;

/// Other texts for some of the catalog's files.
pub type Texts = BTreeMap<RelPath, String>;

/// How many edits are tried for an image; each costs an evaluation of the catalog.
const MAX_TRIALS: usize = 24;

/// The external images of a catalog.
pub fn images(snapshot: &Snapshot) -> BTreeSet<ImageRef> {
    snapshot.images().into_keys().cloned().collect()
}

/// The texts after which the catalog names `new` where it named `old`, and the images that it names then; none where no
/// edit leads there. `edited` is what has been changed already, `before` the images that it leads to, and `wanted` what
/// may be changed by the same edit.
///
/// # Errors
/// When the catalog's files can't be read.
pub fn find(
    context: &Context<'_>,
    snapshot: &Snapshot,
    edited: &Texts,
    before: &BTreeSet<ImageRef>,
    (old, new): (&ImageRef, &ImageRef),
    wanted: &BTreeMap<ImageRef, ImageRef>,
) -> Result<Option<(Texts, BTreeSet<ImageRef>)>, CommandError> {
    for texts in edits(snapshot, edited, old, new).into_iter().take(MAX_TRIALS) {
        let tree = EditedTree::new(context.work_tree()?, texts.clone());
        let trial = context.unchecked(Box::new(tree))?;
        let after = images(&trial);
        let is_wanted = |image: &ImageRef| before.contains(image) || wanted.values().any(|new| new == image);
        let is_kept =
            |image: &ImageRef| after.contains(image) || wanted.get(image).is_some_and(|new| after.contains(new));
        let leads_there = after.contains(new) && !after.contains(old);
        if leads_there && after.iter().all(is_wanted) && before.iter().all(is_kept) && trial.graph_findings().is_empty()
        {
            return Ok(Some((texts, after)));
        }
    }
    Ok(None)
}

/// A file's text as it is after the edits so far.
fn text(snapshot: &Snapshot, edited: &Texts, path: &RelPath) -> Option<String> {
    match edited.get(path) {
        Some(text) => Some(text.clone()),
        None => Some(snapshot.catalog.files.text(path).ok()??.text.to_string()),
    }
}

/// Has the Dockerfiles of the layers that name a moved image say the new one as the default of their arguments: without
/// lamina, it is what they are built from.
pub fn set_defaults(snapshot: &Snapshot, edited: &mut Texts, moved: &BTreeMap<ImageRef, ImageRef>) {
    for loaded in snapshot.layers() {
        let layer = &loaded.layer;
        let path = &layer.build.dockerfile;
        let Some(mut text) = text(snapshot, edited, path) else { continue };
        let Ok(dockerfile) = Dockerfile::parse(path.as_str(), &text) else { continue };
        let mut places: Vec<(Range<usize>, String)> = Vec::new();
        for edge in layer.edges() {
            let Some((old, new)) = edge.base.as_image().and_then(|image| moved.get_key_value(image)) else { continue };
            let Some(arg) = dockerfile.global_arg(edge.arg) else { continue };
            let Some(default) = arg.default.as_deref().filter(|text| text.parse().as_ref() == Ok(old)) else {
                continue;
            };
            let Some(at) = text[arg.span.clone()].rfind(default) else { continue };
            let start = arg.span.start + at;
            let new = if default == old.to_string() { new.to_string() } else { new.familiar() };
            places.push((start..start + default.len(), new));
        }
        places.sort_by_key(|(place, _)| place.start);
        places.dedup();
        if !places.is_empty() {
            places.iter().rev().for_each(|(place, new)| text.replace_range(place.clone(), new));
            edited.insert(path.clone(), text);
        }
    }
}

/// The likely edits, likelier ones first.
fn edits(snapshot: &Snapshot, edited: &Texts, old: &ImageRef, new: &ImageRef) -> Vec<Texts> {
    let texts: BTreeMap<RelPath, String> = files(snapshot, old)
        .into_iter()
        .filter_map(|path| text(snapshot, edited, &path).map(|text| (path, text)))
        .collect();
    let mut edits = Vec::new();
    for (from, to) in &spellings(old, new) {
        let places: Vec<(&RelPath, Range<usize>)> = texts
            .iter()
            .flat_map(|(path, text)| text.match_indices(from).map(move |(at, _)| (path, at..at + from.len())))
            .collect();
        let edit = |places: &[&(&RelPath, Range<usize>)]| {
            let mut all = edited.clone();
            // From behind, so that the places before stay where they are.
            for (path, place) in places.iter().rev() {
                let text = all.entry((*path).clone()).or_insert_with(|| texts[*path].clone());
                text.replace_range(place.clone(), to);
            }
            all
        };
        edits.extend(places.iter().map(|place| edit(&[place])));
        if places.len() > 1 {
            edits.push(edit(&places.iter().collect::<Vec<_>>()));
        }
    }
    edits
}

/// The files that can say an image's tag: the catalog's own, and those of the layers that name it.
fn files(snapshot: &Snapshot, image: &ImageRef) -> Vec<RelPath> {
    let mut files = vec![RelPath::new(CATALOG_FILE).unwrap_or_default()];
    let mut add = |path: &RelPath| {
        if !files.contains(path) {
            files.push(path.clone());
        }
    };
    snapshot.catalog.config_files.iter().for_each(&mut add);
    for (name, _) in snapshot.images().remove(image).unwrap_or_default() {
        if let Some(loaded) = snapshot.catalog.layers.get(name) {
            add(&loaded.workflow);
            loaded.imports.iter().for_each(&mut add);
        }
    }
    files
}

/// The ways in which a text can say a tag, each with how it says the new one. All are whole strings of Nickel.
fn spellings(old: &ImageRef, new: &ImageRef) -> Vec<(String, String)> {
    let quoted = |old: &str, new: &str| (format!("\"{old}\""), format!("\"{new}\""));
    let mut spellings = vec![
        quoted(&old.familiar(), &new.familiar()),
        quoted(&old.to_string(), &new.to_string()),
        quoted(old.tag(), new.tag()),
    ];
    if let (Some(from), Some(to)) = (TagPattern::parse(old.tag()), TagPattern::parse(new.tag())) {
        let (from, to) = (from.version_text(), to.version_text());
        spellings.push(quoted(&from, &to));
        spellings.push(quoted(&format!("v{from}"), &format!("v{to}")));
    }
    spellings.dedup();
    spellings
}
