use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::set;
use super::source::{Known, cooked_of, fresh};
use crate::catalog::LoadedLayer;
use crate::commands::Format;
use crate::commands::context::{Context, find_layer};
use crate::commands::error::CommandError;
use crate::commands::exit::Exit;
use crate::crates::{self, BuildGraph, Second};
use crate::model::{EdgeKind, LayerName};
use crate::report::crates::{SetState, SnapshotState, states};
use crate::report::json;
use crate::snapshot::Snapshot;

/// Write the build graphs of cooked sets beside their locks, or compare them with cargo's
///
/// units.snap says in a line for each unit what cargo compiles of a set. `lamina validate` holds it against the lock
/// and against the ceilings in the workflow, without cargo and without network. With neither option, this lists how
/// the files are doing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lamina crates snapshot
  lamina crates snapshot librosys --check
  lamina crates snapshot librosys --write")]
pub struct Args {
    /// The layers [default: all that cook a set]
    #[arg(value_name = "LAYER")]
    layers: Vec<String>,
    /// Ask cargo, and end with exit code 3 where a file says something else
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Ask cargo, and write the files
    #[arg(long)]
    write: bool,
    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let mut wanted = Vec::new();
    for typed in &args.layers {
        let (name, loaded) = find_layer(&snapshot, typed)?;
        cooked_of(loaded)?;
        wanted.push(name);
    }
    let known = if args.write { Known::of(context, &snapshot, None)? } else { Known::default() };
    let mut graphs: BTreeMap<&LayerName, BuildGraph> = BTreeMap::new();
    let mut found: BTreeMap<&LayerName, SnapshotState> = BTreeMap::new();
    // Parents first: what is compiled a second time is said by their graphs as they are then.
    let order: Vec<&LoadedLayer> =
        snapshot.graph.build_order().filter_map(|name| snapshot.catalog.layers.get(name)).collect();
    for loaded in order {
        let name = &loaded.layer.name;
        let Some(cooked) = &loaded.layer.cooked else { continue };
        let is_wanted = wanted.is_empty() || wanted.contains(&name);
        let mut graph = fresh(&snapshot, cooked);
        let mut state = match (&graph, snapshot.build_graph(cooked)) {
            (Some(_), _) => SnapshotState::Fresh,
            (None, Ok(None)) => SnapshotState::Missing,
            (None, _) => SnapshotState::Stale,
        };
        if is_wanted && (args.check || args.write) {
            let now = set::build_graph(&snapshot, cooked)?;
            if args.check {
                let is_wrong = graph.as_ref().is_some_and(|graph| !graph.is_same(&now));
                state = if is_wrong { SnapshotState::Wrong } else { state };
            }
            graph = Some(now);
        }
        if is_wanted && args.write {
            let now = graph.take().unwrap_or_default();
            let (now, is_written) = write(context, &snapshot, loaded, now, &graphs, &known)?;
            state = if is_written { SnapshotState::Written } else { SnapshotState::Fresh };
            graph = Some(now);
        }
        if let Some(graph) = graph {
            graphs.insert(name, graph);
        }
        if is_wanted {
            found.insert(name, state);
        }
    }
    let sets: Vec<SetState<'_>> = found
        .iter()
        .filter_map(|(name, state)| {
            let cooked = snapshot.layer(name)?.cooked.as_ref()?;
            let graph = graphs.get(name);
            let second = graph.and_then(|graph| second(&snapshot, name, graph, &graphs));
            let file = cooked.path.join(BuildGraph::FILE).unwrap_or_default().to_string();
            Some(SetState { layer: name, file, state: *state, graph, ceilings: &cooked.ceilings, second })
        })
        .collect();
    let answer = match args.format {
        Format::Text => states(&sets),
        Format::Json => json::answer(json::crates::CratesSnapshot::new(&sets)),
    };
    context.ui.answer(&answer)?;
    let is_bad = |state: &SnapshotState| !matches!(state, SnapshotState::Fresh | SnapshotState::Written);
    let bad: Vec<&str> = found.iter().filter(|(_, state)| is_bad(state)).map(|(name, _)| name.as_str()).collect();
    if args.check && !bad.is_empty() {
        let message = format!("{} does not say what cargo does: {}", BuildGraph::FILE, bad.join(", "));
        let hint = format!("`lamina crates snapshot {} --write` writes it anew", bad.join(" "));
        return Err(CommandError::new(Exit::Invalid, message).hint(hint));
    }
    Ok(Exit::Success)
}

/// Writes the snapshot of a layer, if it says something new, with what came since the ceilings last held.
fn write(
    context: &Context<'_>,
    snapshot: &Snapshot,
    loaded: &LoadedLayer,
    mut graph: BuildGraph,
    graphs: &BTreeMap<&LayerName, BuildGraph>,
    known: &Known,
) -> Result<(BuildGraph, bool), CommandError> {
    let name = &loaded.layer.name;
    let cooked = cooked_of(loaded)?;
    let file = snapshot.build_graph(cooked).ok().flatten();
    let old = file.as_ref().and_then(|(_, file)| BuildGraph::parse(&file.text).ok());
    graph.measured = known.measured(name, &graph);
    if let Some(old) = &old {
        graph.mark_since(old);
        graph.measured = graph.measured.or(old.measured.filter(|_| graph.is_same(old)));
    }
    let second = second(snapshot, name, &graph, graphs).unwrap_or_default();
    let breaches = crates::breaches(&graph, &cooked.ceilings, &second);
    if breaches.is_empty() {
        graph.clear_marks();
    }
    for breach in breaches {
        context.ui.remark(&format!("{name}: {}: {}, the ceiling is {}", breach.what, breach.is, breach.ceiling));
    }
    let text = graph.text(cooked.path.as_str());
    let is_new = file.is_none_or(|(_, file)| *file.text != *text);
    if is_new {
        let folder = context.root().join(cooked.path.as_str());
        replace(&folder, &text).map_err(|error| {
            CommandError::failure(format!("{} can't be written", folder.join(BuildGraph::FILE).display()), error)
        })?;
    }
    Ok((graph, is_new))
}

/// Written aside and then renamed: who reads it meanwhile reads a whole file.
fn replace(folder: &Path, text: &str) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".units-").permissions(readable()).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(folder.join(BuildGraph::FILE))?;
    Ok(())
}

/// What a file is made with by default, less what the umask takes away.
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666)
}

/// What is compiled although the layer below has it; none where the set stands on no other one.
fn second(
    snapshot: &Snapshot,
    name: &LayerName,
    graph: &BuildGraph,
    graphs: &BTreeMap<&LayerName, BuildGraph>,
) -> Option<Vec<Second>> {
    let target_dir = |name: &LayerName| snapshot.layer(name)?.cooked.as_ref().map(|cooked| &cooked.target_dir);
    let below = snapshot.graph.ancestors(name, &[EdgeKind::Build]);
    let below = below.into_iter().find(|below| target_dir(below).is_some() && target_dir(below) == target_dir(name))?;
    graphs.get(below).map(|below| crates::second_time(graph, below))
}
