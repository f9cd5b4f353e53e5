//! `lamina warm --push`: the units of a project's target folder into the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::Format;
use super::super::context::Context;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images;
use super::{Args, failed, may_publish, name, of_actor, open, own, target_dir, unnamed};
use crate::cargo::{self, Project};
use crate::host::clock;
use crate::report::json;
use crate::report::warm::{self as report, Sent};
use crate::unit::{Cook, Environment, Manifest, Output, UnitGraph};
use crate::warm::{Place, folders, of_project, publish, unit_bytes, watched};

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let project = open(args)?;
    let target = target_dir(args, &project)?;
    let options = args.build.options();
    let name = name(args, &project);
    let mut graph = project.unit_graph(&options).map_err(|error| failed(args, error))?;
    let environment = project.environment(options.target.as_deref(), []).map_err(|error| failed(args, error))?;
    let session = args.who.session(&snapshot)?;
    may_publish(&session, session.writes(), &name)?;
    let own = of_actor(&own(&snapshot)?, &session);
    let at = of_project(&own, &name, &environment, &options.arguments()).map_err(unnamed)?;
    // Of an empty folder, cargo says how it would call each unit's.
    let empty = tempfile::Builder::new().prefix("lamina-warm-").tempdir();
    let empty = empty.map_err(|error| CommandError::failure("a temporary folder can't be made", error))?;
    let verdicts = cargo::oracle(&project, &options, empty.path()).map_err(|error| failed(args, error))?;
    let compiled = locate(&mut graph, &verdicts.units, &target);
    if compiled == 0 {
        let message = format!("{} holds nothing that others could use", target.display());
        let error = CommandError::new(Exit::Failure, message);
        return Err(error.hint("run `cargo build` with the same profile and features first"));
    }
    let manifest = Manifest {
        version: Manifest::VERSION,
        layer: name,
        environment: with_variables(&project, environment, &graph, &target, args)?,
        cooks: vec![Cook {
            profile: options.profile.clone(),
            settings: BTreeMap::new(),
            target_dir: target.display().to_string(),
            arguments: options.arguments(),
            graph,
        }],
    };
    let annotations = BTreeMap::from([
        ("org.opencontainers.image.created", clock::now().to_string()),
        ("dev.lamina.project", manifest.layer.clone()),
    ]);
    let answer = context.ask(&args.registry, &snapshot, async |registry| {
        publish(registry, &at, &manifest, std::slice::from_ref(&target), &annotations).await
    })?;
    let published = answer.map_err(|error| images::failed(context, 1, &[&error]))?;
    let sent = [Sent { name: &manifest.layer, at: &at, published: &published }];
    context.ui.answer(&match args.format {
        Format::Text => report::sent(&sent, context.verbose()),
        Format::Json => json::answer(json::warm::WarmPush::new(&sent)),
    })?;
    Ok(Exit::Success)
}

/// Adds to each unit where it lies; returns how many are there.
fn locate(graph: &mut UnitGraph, verdicts: &[cargo::Verdict], target: &Path) -> usize {
    let found = folders(graph, verdicts, target);
    for (at, folder) in found.into_iter().enumerate() {
        let output = |folder| Output { folder, cpu_ms: None, bytes: 0, sha256: None, watches: Vec::new() };
        graph.units[at].output = folder.map(output);
        let place = Place::of(graph, &graph.units[at]);
        let bytes = place.and_then(|place| unit_bytes(target, &place));
        match (&mut graph.units[at].output, bytes) {
            (Some(output), Some(bytes)) => output.bytes = bytes,
            (output, _) => *output = None,
        }
    }
    let shareable = graph.shareable();
    graph.units.iter().zip(shareable).filter(|(unit, shareable)| *shareable && unit.output.is_some()).count()
}

/// The environment, with the variables that units watch.
fn with_variables(
    project: &Project,
    environment: Environment,
    graph: &UnitGraph,
    target: &Path,
    args: &Args,
) -> Result<Environment, CommandError> {
    let places = graph.units.iter().filter_map(|unit| Place::of(graph, unit));
    let names: BTreeSet<String> = places.flat_map(|place| watched(target, &place)).collect();
    match names.is_empty() {
        true => Ok(environment),
        false => {
            let triple = args.build.cargo.target.as_deref();
            project.environment(triple, names.iter().map(String::as_str)).map_err(|error| failed(args, error))
        }
    }
}
