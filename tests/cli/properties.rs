//! What holds for every graph, every catalog and every text, tried on random ones.
//!
//! Catalogs are put together as values, over a tree in memory: no Nickel, no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use lamina::cascade::{Cascade, Selection, Unreadable};
use lamina::catalog::{Loaded, LoadedLayer, Spans};
use lamina::graph::Graph;
use lamina::lock::Lock;
use lamina::model::{
    Artifact, Base, Build, Catalog, Change, Class, Donor, EdgeKind, Hook, Hooks, Layer, LayerName, NativeDep,
    NativeSource, Needed, Network, Platform, RelPath, Resources, Secret, Tool,
};
use lamina::snapshot::Snapshot;
use lamina::tree::{Entry, EntryKind, Files, Hashed, Tree, TreeError, sha256};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::workshop::{RUST, Workshop, digest};

/// A catalog as data: layers by place in an order of building, their files, the locked digest of the image.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The layers, parents first.
    pub layers: Vec<Layer>,
    files: BTreeMap<String, (Vec<u8>, bool)>,
    digest: u8,
    cache_version: u64,
}

/// A tree in memory.
#[derive(Clone)]
struct Memory(BTreeMap<String, (Vec<u8>, bool)>);

impl Tree for Memory {
    fn members(&self, folder: &RelPath) -> Result<Vec<Entry>, TreeError> {
        let mut found = BTreeSet::new();
        for path in self.0.keys() {
            let Some(below) = RelPath::new(path).unwrap().below(folder).map(str::to_owned) else { continue };
            let (name, kind) = match below.split_once('/') {
                Some((name, _)) => (name.to_owned(), EntryKind::Folder),
                None => (below, EntryKind::File),
            };
            found.insert(Entry { path: folder.join(&name).unwrap(), kind });
        }
        Ok(found.into_iter().collect())
    }

    fn read(&self, path: &RelPath, _: u64) -> Result<Vec<u8>, TreeError> {
        let file = self.0.get(path.as_str()).ok_or_else(|| TreeError::Missing(path.clone()))?;
        Ok(file.0.clone())
    }

    fn copy(&self, path: &RelPath, _: u64, to: &mut dyn Write) -> Result<Hashed, TreeError> {
        let (bytes, executable) = self.0.get(path.as_str()).ok_or_else(|| TreeError::Missing(path.clone()))?;
        to.write_all(bytes).unwrap();
        Ok(Hashed { hash: sha256(bytes), length: bytes.len() as u64, executable: *executable })
    }

    fn link(&self, path: &RelPath) -> Result<Vec<u8>, TreeError> {
        Err(TreeError::Missing(path.clone()))
    }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn name(number: usize) -> LayerName {
    format!("layer-{number}").parse().unwrap()
}

fn layer(own: LayerName, build_base: Base, runtime_base: Base, donors: Vec<Donor>) -> Layer {
    let folder = path(&format!("layers/{own}"));
    Layer {
        class: Class::Toolchain,
        summary: "s".to_owned(),
        docs: None,
        build_base,
        runtime_base,
        donors,
        native_deps: ["a", "b"]
            .map(|package| NativeDep {
                package: package.to_owned(),
                library: package.to_owned(),
                needed: Needed::Both,
                source: NativeSource::Apt,
            })
            .to_vec(),
        tools: ["c", "d"]
            .map(|tool| Tool { name: tool.to_owned(), probe: vec![tool.to_owned()], version: None })
            .to_vec(),
        artifacts: ["/e", "/f"].map(|path| Artifact { path: path.to_owned(), description: None }).to_vec(),
        cooked: None,
        tags: Vec::new(),
        build: Build {
            dockerfile: folder.join("Dockerfile").unwrap(),
            context: folder,
            target: None,
            args: BTreeMap::from([("G".to_owned(), "1".to_owned())]),
            contexts: BTreeMap::new(),
            ssh: Vec::new(),
            network: Network::Default,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            secrets: ["h", "i"].map(|id| Secret { id: id.to_owned(), required: false, purpose: None }).to_vec(),
            platforms: ["linux/amd64", "linux/arm64"].map(|platform| platform.parse::<Platform>().unwrap()).to_vec(),
            resources: Resources {
                cpu: Some(1),
                memory_mb: Some(1),
                disk_mb: 1,
                time_budget_min: Some(1),
                expected_min: Some(1),
            },
            cache_version: 0,
        },
        hooks: Hooks::default(),
        name: own,
    }
}

/// Random catalogs. The names are dealt at random, so that their order tells nothing about the graph's.
pub fn spec() -> impl Strategy<Value = Spec> {
    let edges = (any::<Index>(), any::<Index>(), prop::collection::vec(any::<Index>(), 0..3));
    prop::collection::vec(edges, 1..12)
        .prop_flat_map(|edges| {
            let numbers: Vec<usize> = (0..edges.len()).collect();
            (Just(edges), Just(numbers).prop_shuffle())
        })
        .prop_map(|(edges, numbers)| {
            let mut layers = Vec::new();
            let mut files = BTreeMap::new();
            for (at, (build, runtime, donors)) in edges.into_iter().enumerate() {
                // The one behind the last layer stands for the external image.
                let base = |index: &Index| match index.index(at + 1) {
                    number if number == at => Base::Image(RUST.parse().unwrap()),
                    number => Base::Layer(name(numbers[number])),
                };
                let donors: BTreeSet<Base> = donors.iter().map(base).filter(|base| base.as_layer().is_some()).collect();
                let donors = donors.into_iter().map(|base| Donor { arg: Donor::default_arg(&base), base }).collect();
                let own = name(numbers[at]);
                for file in ["Dockerfile", "src/a", "src/b"] {
                    files.insert(format!("layers/{own}/{file}"), (format!("{own} {file}").into_bytes(), false));
                }
                layers.push(layer(own, base(&build), base(&runtime), donors));
            }
            Spec { layers, files, digest: 1, cache_version: 0 }
        })
}

impl Spec {
    /// A catalog of one layer with a single file.
    pub fn of_one() -> Self {
        Self {
            layers: vec![layer(
                name(1),
                Base::Image(RUST.parse().unwrap()),
                Base::Image(RUST.parse().unwrap()),
                Vec::new(),
            )],
            files: BTreeMap::from([("layers/layer-1/Dockerfile".to_owned(), (b"FROM x".to_vec(), false))]),
            digest: 1,
            cache_version: 0,
        }
    }

    /// A catalog of two layers, of which the second stands on the first.
    pub fn of_two() -> Self {
        let mut two = Self::of_one();
        let parent = Base::Layer(name(1));
        two.layers.push(layer(name(2), parent.clone(), parent, Vec::new()));
        two.files.insert("layers/layer-2/Dockerfile".to_owned(), (b"FROM x".to_vec(), false));
        two
    }

    /// The catalog, evaluated.
    pub fn snapshot(&self) -> Snapshot {
        let folder = |name: &LayerName| path(&format!("layers/{name}"));
        let loaded = |layer: &Layer| LoadedLayer {
            folder: folder(&layer.name),
            workflow: folder(&layer.name).join("workflow.ncl").unwrap(),
            imports: Vec::new(),
            spans: Spans::default(),
            build_spec: None,
            layer: layer.clone(),
        };
        let config = Catalog {
            name: "c".to_owned(),
            rust_version: "1".to_owned(),
            debian_release: "d".to_owned(),
            registry: "r.test".to_owned(),
            namespace: "n".to_owned(),
            platforms: Vec::new(),
            mirrors: Vec::new(),
            plain_http: Vec::new(),
            ignored: Vec::new(),
            runners: Vec::new(),
            tiers: Vec::new(),
            events: Default::default(),
            granted: BTreeMap::new(),
            sccache: None,
            cache_version: self.cache_version,
        };
        let catalog = Loaded {
            files: Files::new(Box::new(Memory(self.files.clone()))),
            config: Some(config),
            config_files: Vec::new(),
            layers: self.layers.iter().map(|layer| (layer.name.clone(), loaded(layer))).collect(),
            broken: BTreeSet::new(),
            broken_imports: BTreeMap::new(),
            adrs: Vec::new(),
            axioms: Vec::new(),
            decision_files: BTreeSet::new(),
            spec_files: BTreeSet::new(),
            overlaid: false,
            overlay_files: Vec::new(),
            findings: Vec::new(),
            decision_findings: Vec::new(),
        };
        let (lock, findings) =
            Lock::parse("lock", &crate::workshop::lock(&[RUST]).replace(&digest(1), &digest(self.digest)));
        assert_eq!(findings, Vec::new());
        let mut snapshot = Snapshot::new(catalog);
        snapshot.lock = lock;
        snapshot
    }

    fn graph(&self) -> Graph {
        Graph::new(self.layers.iter())
    }

    /// Whether `child` depends on `parent`, in one step.
    pub fn depends(&self, child: &LayerName, parent: &LayerName) -> bool {
        let layer = self.layers.iter().find(|layer| layer.name == *child).unwrap();
        layer.edges().any(|edge| edge.base.as_layer() == Some(parent))
    }

    /// All that depends on a member of `from`, and `from`; by trying every pair until nothing more is found.
    pub fn reachable(&self, from: &BTreeSet<LayerName>) -> BTreeSet<LayerName> {
        let mut found = from.clone();
        loop {
            let more: Vec<LayerName> = self
                .layers
                .iter()
                .map(|layer| layer.name.clone())
                .filter(|name| !found.contains(name) && found.iter().any(|parent| self.depends(name, parent)))
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// The layers that these pick.
    pub fn some(&self, picks: &[Index]) -> BTreeSet<LayerName> {
        picks.iter().map(|pick| pick.get(&self.layers).name.clone()).collect()
    }

    fn fingerprints(&self) -> BTreeMap<LayerName, String> {
        let snapshot = self.snapshot();
        let fingerprints = snapshot.fingerprints();
        assert_eq!(fingerprints.findings, Vec::new());
        self.layers
            .iter()
            .map(|layer| (layer.name.clone(), fingerprints.get(&layer.name).unwrap().to_string()))
            .collect()
    }
}

/// A few picks.
pub fn picks() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..5)
}

fn named(names: &BTreeSet<LayerName>) -> BTreeMap<LayerName, Vec<Change>> {
    names.iter().map(|name| (name.clone(), vec![Change::Named])).collect()
}

/// Changes of an input, by number: the layer's fingerprint has to change.
pub fn change_input(spec: &mut Spec, at: usize, kind: usize) {
    let folder = format!("layers/{}", spec.layers[at].name);
    let layer = &mut spec.layers[at];
    match kind {
        0 => drop(layer.build.args.insert("G".to_owned(), "2".to_owned())),
        1 => drop(layer.build.args.insert("NEW".to_owned(), String::new())),
        2 => layer.build.target = Some("t".to_owned()),
        3 => layer.build.cache_version = 1,
        4 => drop(layer.build.platforms.pop()),
        5 => layer.build.secrets[0].required = true,
        6 => layer.native_deps[1].needed = Needed::Run,
        7 => layer.native_deps[1].source = NativeSource::Vendored,
        8 => layer.native_deps[1].library.push('x'),
        9 => layer.tools[0].version = Some("1".to_owned()),
        10 => layer.tools[0].probe.push("x".to_owned()),
        11 => drop(layer.artifacts.pop()),
        12 => layer.hooks.pre_build = vec![Hook::plain(vec!["make".to_owned()])],
        13 => layer.donors.push(Donor { base: Base::Image(RUST.parse().unwrap()), arg: "DONOR_X".to_owned() }),
        14 => spec.files.get_mut(&format!("{folder}/Dockerfile")).unwrap().0.push(b'#'),
        15 => spec.files.get_mut(&format!("{folder}/src/a")).unwrap().0.push(b'#'),
        16 => spec.files.get_mut(&format!("{folder}/src/a")).unwrap().1 = true,
        17 => drop(spec.files.insert(format!("{folder}/new"), (Vec::new(), false))),
        18 => drop(spec.files.remove(&format!("{folder}/src/b"))),
        19 => drop(spec.files.insert(format!("{folder}/.dockerignore"), (b"src/b".to_vec(), false))),
        20 => {
            // The same bytes under another name.
            let file = spec.files.remove(&format!("{folder}/src/a")).unwrap();
            spec.files.insert(format!("{folder}/src/c"), file);
        }
        21 => layer.build.ssh = vec!["s".to_owned()],
        22 => layer.build.network = Network::None,
        23 => drop(layer.build.labels.insert("l".to_owned(), "1".to_owned())),
        24 => drop(layer.build.annotations.insert("l".to_owned(), "1".to_owned())),
        // The very files of the build context, once more.
        25 => drop(layer.build.contexts.insert("n".to_owned(), path(&folder))),
        _ => {
            let (a, b) = (format!("{folder}/src/a"), format!("{folder}/src/b"));
            let (first, second) = (spec.files[&a].clone(), spec.files[&b].clone());
            spec.files.extend([(a, second), (b, first)]);
        }
    }
}
pub const INPUTS: usize = 27;

/// Changes of what is no input, by number.
fn change_no_input(spec: &mut Spec, at: usize, kind: usize) {
    let folder = format!("layers/{}", spec.layers[at].name);
    let layer = &mut spec.layers[at];
    match kind {
        0 => layer.summary.push('x'),
        1 => layer.docs = Some("d".to_owned()),
        2 => {
            layer.build.resources =
                Resources { cpu: Some(9), memory_mb: Some(9), disk_mb: 9, time_budget_min: Some(9), expected_min: None }
        }
        3 => layer.hooks.post_build = vec![Hook::plain(vec!["make".to_owned()])],
        4 => layer.native_deps.reverse(),
        5 => layer.tools.reverse(),
        6 => layer.artifacts.reverse(),
        7 => layer.build.secrets.reverse(),
        8 => layer.build.platforms.reverse(),
        9 => layer.donors.reverse(),
        10 => layer.artifacts[0].description = Some("d".to_owned()),
        11 => layer.build.secrets[0].purpose = Some("p".to_owned()),
        12 => spec.layers.reverse(),
        13 => drop(spec.files.insert(format!("{folder}/workflow.ncl"), (b"# comment".to_vec(), false))),
        14 => layer.tags = vec!["1".to_owned()],
        15 => drop(spec.files.insert(format!("{folder}/.dockerignore"), (b"# comment\nnothing".to_vec(), false))),
        _ => spec.files.get_mut(&format!("{folder}/Dockerfile")).unwrap().1 = true,
    }
}
const NO_INPUTS: usize = 17;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn waves_are_an_order_of_building(spec in spec(), picks in picks()) {
        let graph = spec.graph();
        let all: BTreeSet<LayerName> = spec.layers.iter().map(|layer| layer.name.clone()).collect();
        for set in [spec.some(&picks), all] {
            let waves = graph.waves(&set);
            let flat: Vec<LayerName> = waves.iter().flatten().map(|name| (*name).clone()).collect();
            prop_assert_eq!(flat.len(), set.len());
            prop_assert_eq!(flat.into_iter().collect::<BTreeSet<_>>(), set.clone());
            // Where all layers weigh the same, the longest way passes through each wave once.
            prop_assert_eq!(graph.heaviest_path(&set, |_| 3), 3 * waves.len() as u64);
            let wave = |name: &LayerName| waves.iter().position(|wave| wave.contains(&name)).unwrap();
            // A job that waits for what it needs starts in the wave of its layer.
            let needs = graph.needs(&set);
            prop_assert_eq!(needs.keys().copied().collect::<BTreeSet<_>>(), set.iter().collect::<BTreeSet<_>>());
            for (name, before) in &needs {
                prop_assert_eq!(wave(name), before.iter().map(|name| wave(name) + 1).max().unwrap_or(0));
            }
            for parent in &set {
                // Also where the way from one to the other leads through layers outside of the set.
                for child in spec.reachable(&BTreeSet::from([parent.clone()])) {
                    prop_assert!(child == *parent || !set.contains(&child) || wave(parent) < wave(&child));
                }
            }
            for (number, names) in waves.iter().enumerate() {
                prop_assert!(!names.is_empty());
                prop_assert!(names.is_sorted());
                for name in names {
                    let waits = number == 0 || waves[number - 1].iter().any(|before| {
                        spec.reachable(&BTreeSet::from([(*before).clone()])).contains(*name)
                    });
                    prop_assert!(waits, "{} waits for nothing", name);
                }
            }
        }
        let order: Vec<&LayerName> = graph.build_order().collect();
        prop_assert_eq!(order.len(), spec.layers.len());
        for (at, child) in order.iter().enumerate() {
            prop_assert!(order[at..].iter().all(|parent| !spec.depends(child, parent)));
        }
        prop_assert_eq!(graph.cycles(), Vec::new());
    }

    #[test]
    fn a_cascade_is_reachability(spec in spec(), picks in picks()) {
        let changed = spec.some(&picks);
        let snapshot = spec.snapshot();
        let cascade = Cascade::of(&snapshot, named(&changed));
        let reached: BTreeSet<LayerName> = cascade.reached.keys().cloned().collect();
        prop_assert_eq!(&reached, &spec.reachable(&changed));
        for (name, how) in &cascade.reached {
            prop_assert_eq!(how.distance == 0, changed.contains(name));
            for via in &how.via {
                prop_assert!(reached.contains(&via.parent) && spec.depends(name, &via.parent));
            }
            let chain = cascade.chain(name).unwrap();
            prop_assert_eq!(chain.steps.len(), how.distance);
            prop_assert!(changed.contains(chain.origin));
            let mut at = chain.origin;
            for (edge, next) in chain.steps {
                let layer = snapshot.layer(next).unwrap();
                prop_assert!(layer.edges().any(|found| found.kind == edge && found.base.as_layer() == Some(at)));
                at = next;
            }
            prop_assert_eq!(at, name);
        }
    }

    #[test]
    fn one_more_change_removes_no_layer(spec in spec(), picks in picks(), more in picks()) {
        let snapshot = spec.snapshot();
        let few = spec.some(&picks);
        let many: BTreeSet<LayerName> = few.union(&spec.some(&more)).cloned().collect();
        let (small, large) = (Cascade::of(&snapshot, named(&few)), Cascade::of(&snapshot, named(&many)));
        for (name, how) in &small.reached {
            prop_assert!(large.reached[name].distance <= how.distance);
            prop_assert!(how.via.iter().all(|via| large.reached[name].via.contains(via)));
        }
    }

    #[test]
    fn a_selection_keeps_the_order(spec in spec(), picks in picks(), distance in prop::option::of(0..4usize), dependents_only: bool) {
        let snapshot = spec.snapshot();
        let cascade = Cascade::of(&snapshot, named(&spec.some(&picks)));
        let only = vec!["name=layer-*[02468]".parse().unwrap()];
        let selection = Selection { dependents_only, max_distance: distance, only };
        let waves = cascade.waves(&snapshot, &selection);
        let expected: BTreeSet<&LayerName> = cascade.reached.iter().filter(|(name, how)| {
            name.as_str().ends_with(['0', '2', '4', '6', '8'])
                && distance.is_none_or(|most| how.distance <= most)
                && !(dependents_only && how.distance == 0)
        }).map(|(name, _)| name).collect();
        prop_assert_eq!(waves.iter().flatten().copied().collect::<BTreeSet<_>>(), expected);
        for (at, wave) in waves.iter().enumerate() {
            for name in wave {
                let behind = spec.reachable(&BTreeSet::from([(*name).clone()]));
                let before = waves[..=at].iter().flatten().filter(|other| *other != name);
                prop_assert!(before.into_iter().all(|other| !behind.contains(*other)));
            }
        }
    }

    #[test]
    fn a_changed_input_changes_the_fingerprints_of_the_layer_and_of_what_depends_on_it(
        spec in spec(), pick: Index, kind in 0..INPUTS
    ) {
        let mut changed = spec.clone();
        let at = pick.index(spec.layers.len());
        change_input(&mut changed, at, kind);
        let (before, after) = (spec.fingerprints(), changed.fingerprints());
        let differ: BTreeSet<LayerName> = before.keys().filter(|name| before[*name] != after[*name]).cloned().collect();
        let own = BTreeSet::from([spec.layers[at].name.clone()]);
        prop_assert_eq!(&differ, &spec.reachable(&own));
        // The cascade between two revisions tells exactly the fingerprints that differ, and the one that began it.
        let cascade = Cascade::between(&spec.snapshot(), &changed.snapshot(), Unreadable::IsChanged);
        prop_assert_eq!(cascade.reached.keys().cloned().collect::<BTreeSet<_>>(), differ);
        prop_assert_eq!(cascade.changed.keys().cloned().collect::<BTreeSet<_>>(), own);
    }

    #[test]
    fn what_is_no_input_changes_no_fingerprint(spec in spec(), pick: Index, kind in 0..NO_INPUTS) {
        let mut changed = spec.clone();
        change_no_input(&mut changed, pick.index(spec.layers.len()), kind);
        prop_assert_eq!(spec.fingerprints(), changed.fingerprints());
        let cascade = Cascade::between(&spec.snapshot(), &changed.snapshot(), Unreadable::IsChanged);
        prop_assert!(cascade.reached.is_empty() && cascade.changed.is_empty());
    }

    #[test]
    fn digests_and_the_catalogs_knob_are_inputs(spec in spec()) {
        let before = spec.fingerprints();
        let locked = Spec { digest: 2, ..spec.clone() };
        let users: BTreeSet<LayerName> =
            spec.layers.iter().filter(|layer| layer.images().next().is_some()).map(|layer| layer.name.clone()).collect();
        let after = locked.fingerprints();
        let differ: BTreeSet<LayerName> = before.keys().filter(|name| before[*name] != after[*name]).cloned().collect();
        prop_assert_eq!(differ, spec.reachable(&users));
        let knob = Spec { cache_version: 1, ..spec.clone() }.fingerprints();
        prop_assert!(before.iter().all(|(name, fingerprint)| knob[name] != *fingerprint));
    }

    #[test]
    fn no_difference_is_told_if_and_only_if_fingerprints_are_equal(
        spec in spec(), pick: Index, kinds in prop::collection::vec((0..INPUTS, 0..NO_INPUTS, any::<bool>()), 0..3)
    ) {
        let mut changed = spec.clone();
        let own = spec.layers[pick.index(spec.layers.len())].name.clone();
        for (input, no_input, is_input) in kinds {
            let at = changed.layers.iter().position(|layer| layer.name == own).unwrap();
            match is_input {
                // These take away what others change.
                true if ![18, 20, 21].contains(&input) => change_input(&mut changed, at, input),
                _ => change_no_input(&mut changed, at, no_input),
            }
        }
        let (old, new) = (spec.snapshot(), changed.snapshot());
        let (before, after) = (old.fingerprints(), new.fingerprints());
        let changes = after.inputs(&own).unwrap().changes_since(before.inputs(&own).unwrap());
        prop_assert_eq!(changes.is_empty(), before.get(&own) == after.get(&own));
    }

    #[test]
    fn circles_are_found_and_are_real(edges in prop::collection::vec((0..6usize, 0..6usize), 6)) {
        let layers: Vec<Layer> = edges.iter().enumerate().map(|(own, (build, runtime))| {
            layer(name(own), Base::Layer(name(*build)), Base::Layer(name(*runtime)), Vec::new())
        }).collect();
        let graph = Graph::new(layers.iter());
        let cycles = graph.cycles();
        // Each of the six depends on one of the six, so there is a circle.
        prop_assert!(!cycles.is_empty());
        for cycle in &cycles {
            for (step, next) in cycle.steps.iter().zip(cycle.steps.iter().cycle().skip(1)) {
                prop_assert_eq!(&step.parent, &next.child);
                prop_assert!(graph.parents(&step.child).contains(&(&step.parent, step.edge)));
            }
            let members: BTreeSet<_> = cycle.steps.iter().map(|step| &step.child).collect();
            prop_assert_eq!(members.len(), cycle.steps.len());
        }
        prop_assert!(graph.build_order().count() < layers.len());
    }
}

#[test]
fn a_fingerprint_knows_nothing_of_the_machine() {
    let fingerprints = |shop: &Workshop| {
        let listed = shop.run(["list", "--format", "json"]).json(0);
        listed["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| layer["fingerprint"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let build = |shop: &Workshop, names: [&str; 2]| {
        for name in names {
            shop.layer(name, if name == "base" { RUST } else { "base" });
        }
        shop.file("layers/app/src/a", "1").file("layers/app/b", "2").executable("layers/app/b");
    };
    let (here, there) = (Workshop::new(), Workshop::nested("another/place"));
    build(&here, ["base", "app"]);
    build(&there, ["app", "base"]);
    there.commit("in a repository");
    assert_eq!(fingerprints(&here), fingerprints(&there));
}

#[test]
fn fingerprints_stay_what_they_were() {
    // Images in registries carry these as tags: a change of the encoding needs another format version, and this text.
    let spec = Spec::of_one();
    let edges: Vec<EdgeKind> = spec.layers[0].edges().map(|edge| edge.kind).collect();
    assert_eq!(edges, [EdgeKind::Build, EdgeKind::Runtime]);
    insta::assert_snapshot!(spec.fingerprints()[&name(1)]);
}
