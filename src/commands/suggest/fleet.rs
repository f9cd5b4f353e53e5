//! `lamina suggest` for several projects at once.

use super::super::context::Context;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::offers::Catalog;
use super::subject::Subject;
use super::{Args, SuggestFormat};
use crate::model::LayerName;
use crate::report::json;
use crate::report::suggest::FleetReport;
use crate::snapshot::Snapshot;
use crate::suggest::{self, Crew, Holding, Packages, Units};

/// Ranks the layers by what they save all projects a day. It takes cargo's plan of each of them.
pub fn run(context: &Context<'_>, args: &Args, snapshot: &Snapshot, only: &[&LayerName]) -> Result<Exit, CommandError> {
    if !args.weight.is_empty() && args.weight.len() != args.project.len() {
        let message = format!("{} weights for {} projects", args.weight.len(), args.project.len());
        let error = CommandError::new(Exit::Usage, message);
        return Err(error.hint("write --project DIR --weight N for each project, or no weight at all"));
    }
    let mut subjects = Vec::new();
    for folder in &args.project {
        let subject = Subject::open(folder, &args.build)?;
        let graph = subject.unit_graph(&args.build).map_err(|error| CommandError::project(folder, error))?;
        subjects.push((subject, graph));
    }
    let catalog = Catalog::read(context, &args.registry, snapshot, only, true)?;
    let packages: Packages<'_> = subjects.iter().flat_map(|(subject, _)| subject.packages()).collect();
    let held = catalog.held(&packages);
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
    let mut offers = Vec::new();
    for (project, (subject, graph)) in subjects.iter().enumerate() {
        let all = catalog.offers(&held, subject, &args.build, Some(graph));
        let mut cooked = Vec::new();
        for offer in all {
            if let Holding::Units(units) = offer.holding {
                layers.extend((project == 0).then_some((offer.layer, units)));
                cooked.push(offer);
            }
        }
        offers.push(cooked);
    }
    let usable = |project: usize, layer: usize| offers[project][layer].usable();
    let advice = suggest::fleet(&crew, &layers, usable);
    let proposals = args.propose.then(|| suggest::propose(&crew, &layers, usable));
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
    subjects.iter().flat_map(|(subject, _)| subject.outside()).for_each(|remark| context.ui.remark(&remark));
    let saves = advice.layers.iter().any(|layer| layer.saved_ms >= report.least_ms.max(1));
    let proposes = proposals.is_some_and(|proposals| !proposals.is_empty());
    Ok(if saves || proposes { Exit::Success } else { Exit::Nothing })
}
