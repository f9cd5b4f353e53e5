//! Which units are taken, and why not: what registries have comes as values.

use std::collections::BTreeMap;
use std::sync::Arc;

use lamina::model::Digest;
use lamina::unit::{Hindrance, Leaves, Obstacle, Profile, UnitGraph};
use lamina::warm::{Artifact, Contents, Entry, Miss, Offer, Place, Verdict, Wanted, choose, hidden, rank};

use crate::units::{graph, manifest, place};

const LOWER: &str = "lower-0000000000000001";
const UPPER: &str = "upper-0000000000000002";

fn digest(byte: char) -> Digest {
    format!("sha256:{}", byte.to_string().repeat(64)).parse().unwrap()
}

fn entry(content: char) -> Entry {
    Entry { digest: digest('0'), size: 10, bytes: 20, content: digest(content), watched: BTreeMap::new() }
}

/// An offer of both units, with these contents; without one, it can't be had.
fn offer(lower: Option<char>, upper: Option<char>) -> Offer {
    let entries = [(LOWER, lower), (UPPER, upper)]
        .into_iter()
        .filter_map(|(folder, content)| Some((place(&format!("release/{folder}")), entry(content?))));
    let manifest = Arc::new(manifest(graph([LOWER, UPPER])));
    let artifact = Artifact { at: "localhost/units:a".parse().unwrap(), manifest, entries: entries.collect() };
    Offer { artifact, obstacles: Vec::new() }
}

/// A target folder.
#[derive(Default)]
struct Folder(BTreeMap<Place, Option<Digest>>);

impl Contents for Folder {
    fn has(&self, place: &Place) -> bool {
        self.0.contains_key(place)
    }

    fn content(&self, place: &Place) -> Option<Digest> {
        self.0.get(place).cloned().flatten()
    }
}

/// What becomes of `lower` and `upper`: `0`, `1`: the offer; `there`; or why not.
fn decide(project: &UnitGraph, offers: &[Offer], folder: &Folder) -> [String; 2] {
    let keys = project.keys();
    let variable = |name: &str| (name == "CC").then(|| "gcc".to_owned());
    let verdicts = choose(Wanted { graph: project, keys: &keys }, offers, folder, &variable);
    let said = |verdict: &Verdict| match verdict {
        Verdict::Own => "own".to_owned(),
        Verdict::There(_) => "there".to_owned(),
        Verdict::Take(take) => take.offer.to_string(),
        Verdict::Miss(
            miss @ (Miss::Below(name) | Miss::Differs(name) | Miss::Variable(name) | Miss::Version(name)),
        ) => format!("{} {name}", miss.code()),
        Verdict::Miss(miss) => miss.code().to_owned(),
    };
    [said(&verdicts[0]), said(&verdicts[1])]
}

fn project() -> UnitGraph {
    let mut project = graph([LOWER, UPPER]);
    project.units.iter_mut().for_each(|unit| unit.output = None);
    project
}

#[test]
fn a_unit_is_taken_with_all_that_it_was_made_with() {
    let nothing = Folder::default();
    let decide = |offers: &[Offer]| decide(&project(), offers, &nothing);
    assert_eq!(decide(&[offer(Some('a'), Some('b'))]), ["0", "0"]);
    assert_eq!(decide(&[offer(Some('a'), None)]), ["0", "unpublished"]);
    assert_eq!(decide(&[offer(None, Some('b'))]), ["unpublished", "below lower"]);
    assert_eq!(decide(&[]), ["crate", "crate"]);
    // The same crate from two compilations: only where they are alike, one stands for the other.
    assert_eq!(decide(&[offer(Some('a'), None), offer(Some('a'), Some('b'))]), ["0", "1"]);
    assert_eq!(decide(&[offer(Some('a'), None), offer(Some('c'), Some('b'))])[0], "0");
    assert_eq!(decide(&[offer(None, Some('b')), offer(Some('a'), Some('b'))]), ["1", "1"]);
    let mixed = decide(&[offer(Some('a'), None), offer(Some('c'), Some('b'))]);
    assert!(mixed[1] == "unpublished" || mixed[1] == "differs lower", "{mixed:?}");
}

#[test]
fn what_is_there_stays_and_counts_for_what_it_is() {
    let with = |folder: &str, content: Option<char>| {
        let folder = Folder([(place(&format!("release/{folder}")), content.map(digest))].into());
        decide(&project(), &[offer(Some('a'), Some('b'))], &folder)
    };
    assert_eq!(with(LOWER, Some('a')), ["there", "0"]);
    assert_eq!(with(LOWER, Some('c')), ["there", "differs lower"]);
    assert_eq!(with(LOWER, None), ["there", "differs lower"]);
    assert_eq!(with(UPPER, Some('b')), ["0", "there"]);
}

#[test]
fn environments_and_variables_count() {
    let mut other = offer(Some('a'), Some('b'));
    let obstacle = |hindrance, leaves| Obstacle { hindrance, leaves, text: String::new(), fix: String::new() };
    other.obstacles = vec![obstacle(Hindrance::OtherCargoHome, Leaves::Nothing)];
    let nothing = Folder::default();
    assert_eq!(decide(&project(), &[other.clone()], &nothing), ["environment", "environment"]);
    assert_eq!(decide(&project(), &[other.clone(), offer(Some('a'), Some('b'))], &nothing), ["1", "1"]);
    // These are in the keys already.
    other.obstacles = vec![obstacle(Hindrance::OtherProfile, Leaves::Nothing)];
    assert_eq!(decide(&project(), &[other.clone()], &nothing), ["0", "0"]);
    // For the host, no flags count where a target is named.
    other.obstacles = vec![obstacle(Hindrance::OtherRustflags, Leaves::HostUnits)];
    assert_eq!(decide(&project(), &[other], &nothing), ["0", "0"]);
    for (value, said) in [
        (Some("gcc"), ["0", "0"]),
        (Some("clang"), ["variable CC", "below lower"]),
        (None, ["variable CC", "below lower"]),
    ] {
        let mut offer = offer(Some('a'), Some('b'));
        let lower = offer.artifact.entries.get_mut(&place(&format!("release/{LOWER}"))).unwrap();
        lower.watched.insert("CC".to_owned(), value.map(hidden));
        lower.watched.insert("AR".to_owned(), None);
        assert_eq!(decide(&project(), &[offer], &nothing), said, "{value:?}");
    }
}

#[test]
fn what_nobody_has_is_compared_with_what_is_nearest() {
    let nothing = Folder::default();
    let changed = |change: &dyn Fn(&mut UnitGraph)| {
        let mut project = project();
        change(&mut project);
        decide(&project, &[offer(Some('a'), Some('b'))], &nothing)
    };
    assert_eq!(changed(&|graph| graph.packages[0].version = "1.0.1".to_owned()), ["version 1.0.0", "dependencies"]);
    assert_eq!(changed(&|graph| graph.units[0].features = vec!["std".to_owned()]), ["features", "dependencies"]);
    assert_eq!(changed(&|graph| graph.packages[1].name = "another".to_owned()), ["0", "crate"]);
    assert_eq!(changed(&|graph| graph.packages[0].source = None), ["own", "own"]);
    let profile = |graph: &mut UnitGraph| {
        graph
            .profiles
            .push(Profile { folder: "release".to_owned(), settings: [("lto".to_owned(), "true".to_owned())].into() });
        graph.units[1].profile = 1;
    };
    assert_eq!(changed(&profile)[1], "profile");
}

#[test]
fn who_has_most_is_asked_first() {
    let project = project();
    let keys = project.keys();
    let wanted = Wanted { graph: &project, keys: &keys };
    let mut few = offer(Some('a'), Some('b'));
    let mut manifest = (*few.artifact.manifest).clone();
    manifest.cooks[0].graph.units[1].output = None;
    few.artifact.manifest = Arc::new(manifest);
    few.artifact.at = "localhost/units:few".parse().unwrap();
    let mut offers = vec![few, offer(Some('a'), Some('b'))];
    rank(wanted, &mut offers);
    assert_eq!(offers[1].artifact.at.tag(), "few");
}
