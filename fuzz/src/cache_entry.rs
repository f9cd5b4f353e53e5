//! The evaluation cache's file: any bytes; bytes with a checksum that is right, so that what lies behind it is reached;
//! and entries that are written and read.

use lamina::catalog::eval::{Evaluated, FieldSpans, Job, Kind, Record};
use lamina::catalog::{Cache, Spans};
use lamina::model::RelPath;
use lamina::tree::{Hash, sha256};
use serde_bytes::ByteBuf;

use super::catalog::path;

pub fn run(data: &[u8]) {
    let Some((mode, data)) = data.split_first() else { return };
    match mode % 4 {
        0 => decode(data),
        1 => decode(&[&sha256(data)[..], data].concat()),
        // A shard is encoded by itself: without this, the fuzzer would have to keep its length right.
        2 => {
            let file = (vec![(path("a.ncl"), [0; 32]), (path("b/c.ncl"), [1; 32])], vec![ByteBuf::from(data)]);
            let payload = postcard::to_allocvec::<(Vec<(RelPath, Hash)>, Vec<ByteBuf>)>(&file);
            let payload = payload.expect("memory can be written");
            decode(&[&sha256(&payload)[..], &payload].concat());
        }
        _ => keep(data),
    }
}

/// What can be read can be written, and is read again.
fn decode(bytes: &[u8]) {
    let Some(cache) = Cache::decode(bytes) else { return };
    ask(&cache);
    let again = Cache::decode(&cache.encode().expect("memory can be written")).expect("it was written just now");
    ask(&again);
}

/// Asks as a run does.
fn ask(cache: &Cache) {
    cache.summaries();
    let known = |file: &RelPath| (!file.as_str().is_empty()).then_some([0; 32]);
    let unchanged = cache.unchanged(known);
    for kind in [Kind::Catalog, Kind::Axioms, Kind::Adr, Kind::Workflow, Kind::Directives, Kind::BuildSpec] {
        let job = Job { kind, path: path("a") };
        if let Some(entry) = cache.find(&job, &[0; 32], &unchanged) {
            assert!(cache.imports(entry).iter().all(|import| known(import).is_some()));
            entry.spans.find("build.args[0].x");
        }
    }
}

/// A value that is kept is the value that is found, as long as nothing that it was made from has changed.
fn keep(data: &[u8]) {
    let Ok(Evaluated { record, spans }) = postcard::from_bytes::<Evaluated>(data) else { return };
    // Laws are about equal values, and what is no number equals nothing.
    let is_reflexive = record == record.clone();
    let job = Job { kind: kind(&record), path: path("layers/a/workflow.ncl") };
    let (own, imported) = ([7; 32], (path("schemas/workflow.ncl"), [8; 32]));
    let mut cache = Cache::disabled();
    let encoded = Spans::encode(&spans);
    cache.insert(job.clone(), own, [imported.clone()].into_iter(), record.clone(), encoded.clone());
    let cache = Cache::decode(&cache.encode().expect("memory can be written")).expect("it was written just now");
    let entry = cache.find(&job, &own, &cache.unchanged(|_| Some(imported.1))).expect("nothing has changed");
    assert!(!is_reflexive || entry.record == record);
    assert_eq!(cache.imports(entry), [imported.0]);
    places(&entry.spans, &spans);
    assert!(cache.find(&job, &own, &cache.unchanged(|_| Some([9; 32]))).is_none(), "an import has changed");
    assert!(cache.find(&job, &own, &cache.unchanged(|_| None)).is_none(), "an import is gone");
    assert!(cache.find(&job, &[9; 32], &cache.unchanged(|_| Some(imported.1))).is_none(), "the file has changed");
}

fn places(kept: &Spans, spans: &FieldSpans) {
    for (at, (field, span)) in spans.iter().enumerate().take(4) {
        if spans[..at].iter().all(|(other, _)| other != field) {
            assert_eq!(kept.find(field), Some(span.start as usize..span.end as usize), "{field:?}");
        }
    }
}

fn kind(record: &Record) -> Kind {
    match record {
        Record::Catalog(_) => Kind::Catalog,
        Record::Axioms(_) => Kind::Axioms,
        Record::Adr(_) => Kind::Adr,
        Record::Workflow(_) => Kind::Workflow,
        Record::Directives(_) => Kind::Directives,
        Record::BuildSpec(_) => Kind::BuildSpec,
    }
}
