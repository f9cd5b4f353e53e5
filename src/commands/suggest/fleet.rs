//! `lamina suggest` for several projects at once.

use std::collections::HashMap;

use super::super::context::Context;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::offers::Catalog;
use super::subject::{self, Subject};
use super::{Args, SuggestFormat, only};
use crate::report::json;
use crate::report::suggest::FleetReport;
use crate::snapshot::Snapshot;
use crate::suggest::{self, Crew, Holding, Units, leaves_nothing};

/// Ranks the layers by what they save all projects a day. It takes cargo's plan of each of them.
pub fn run(context: &Context<'_>, args: &Args, snapshot: &Snapshot) -> Result<Exit, CommandError> {
    if !args.weight.is_empty() && args.weight.len() != args.project.len() {
        let message = format!("{} weights for {} projects", args.weight.len(), args.project.len());
        let error = CommandError::new(Exit::Usage, message);
        return Err(error.hint("write --project DIR --weight N for each project, or no weight at all"));
    }
    let mut subjects = Vec::new();
    for folder in &args.project {
        let subject = Subject::open(folder, &args.build)?;
        let graph = subject.unit_graph(&args.build).map_err(|error| subject::failed(folder, &error))?;
        subjects.push((subject, graph));
    }
    let catalog = Catalog::read(context, &args.registry, snapshot, &only(args, snapshot)?, true)?;
    let held = catalog.held(None);
    let costs = held.costs();
    let units: Vec<Units<'_>> = subjects.iter().map(|(_, graph)| Units::new(graph, &costs)).collect();
    let weight = |place: usize| args.weight.get(place).copied().map_or(1, u64::from);
    let crew: Vec<Crew<'_, '_>> = subjects
        .iter()
        .zip(&units)
        .enumerate()
        .map(|(place, ((subject, _), units))| Crew { name: &subject.name, weight: weight(place), units })
        .collect();
    let mut layers = Vec::new();
    let mut barred: HashMap<(usize, usize), bool> = HashMap::new();
    for (project, (subject, graph)) in subjects.iter().enumerate() {
        let offers = catalog.offers(&held, subject, &args.build, Some(graph), &subject.packages());
        let cooked = offers.into_iter().filter_map(|offer| match offer.holding {
            Holding::Units(units) => Some((offer.layer, units, offer.obstacles)),
            _ => None,
        });
        for (place, (layer, units, obstacles)) in cooked.enumerate() {
            barred.insert((project, place), leaves_nothing(&obstacles));
            if project == 0 {
                layers.push((layer, units));
            }
        }
    }
    let may = |project: usize, layer: usize| barred.get(&(project, layer)) != Some(&true);
    let advice = suggest::fleet(&crew, &layers, may);
    let proposals = args.propose.then(|| suggest::propose(&crew, &layers, may));
    let projects: Vec<(&str, u64)> = crew.iter().map(|project| (project.name, project.weight)).collect();
    let report = FleetReport {
        projects: &projects,
        advice: &advice,
        least_ms: args.min_saving.of(advice.total_ms),
        proposals: proposals.as_deref(),
    };
    context.ui.answer(&match args.format {
        SuggestFormat::Text => report.text(),
        SuggestFormat::Json => json::answer(json::fleet::Fleet::new(&report)),
        SuggestFormat::Names => report.names(),
        SuggestFormat::Markdown => format!("```\n{}```\n", report.text()),
    })?;
    catalog.remarks().iter().for_each(|remark| context.ui.remark(remark));
    let saves = advice.layers.iter().any(|layer| layer.saved_ms >= report.least_ms.max(1));
    let proposes = proposals.is_some_and(|proposals| !proposals.is_empty());
    Ok(if saves || proposes { Exit::Success } else { Exit::Nothing })
}
