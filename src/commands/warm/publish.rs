//! `lamina warm --publish`: the units of layers' images into the registry.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::super::Format;
use super::super::context::{Context, find_layer};
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::images;
use super::{Args, may_publish, own, unnamed};
use crate::cache::Namespace;
use crate::cooked::{self, Missing};
use crate::model::{ImageRef, LayerName};
use crate::report::json;
use crate::report::warm::{self as report, Sent};
use crate::snapshot::Snapshot;
use crate::warm::{Published, export, of_layer, publish};

pub fn run(context: &Context<'_>, args: &Args) -> Result<Exit, CommandError> {
    let snapshot = context.snapshot()?;
    let layers = args.publish.iter().map(|typed| Ok(find_layer(&snapshot, typed)?.0));
    let layers = layers.collect::<Result<BTreeSet<&LayerName>, CommandError>>()?;
    let own = own(&snapshot)?;
    let session = args.who.session(&snapshot)?;
    for layer in &layers {
        may_publish(&session, Namespace::Ci(session.workspace.clone()), layer.as_str())?;
    }
    let mut published = Vec::new();
    for layer in layers {
        published.push((layer, one(context, args, &snapshot, &own, layer)?));
    }
    let sent: Vec<Sent<'_>> =
        published.iter().map(|(layer, (at, published))| Sent { name: layer.as_str(), at, published }).collect();
    context.ui.answer(&match args.format {
        Format::Text => report::sent(&sent, context.verbose()),
        Format::Json => json::answer(json::warm::WarmPush::new(&sent)),
    })?;
    Ok(Exit::Success)
}

fn one(
    context: &Context<'_>,
    args: &Args,
    snapshot: &Snapshot,
    own: &str,
    layer: &LayerName,
) -> Result<(ImageRef, Published), CommandError> {
    let mut store = context.unit_store();
    let cancel = CancellationToken::new();
    context.ask(&args.registry, snapshot, async |registry| {
        let found = cooked::manifests(Some(registry), &mut store, snapshot, &[layer]).await.pop();
        let (image, manifest) = match found {
            Some(Ok(found)) => found,
            Some(Err(Missing::Registry(error))) => return Err(images::failed(context, 1, &[&error])),
            Some(Err(missing)) => return Err(CommandError::failure(format!("{layer} has no units"), missing)),
            None => return Err(CommandError::new(Exit::Failure, format!("{layer} has no units"))),
        };
        let at = of_layer(own, layer, &image.digest).map_err(unnamed)?;
        let platform = snapshot.layer(layer).and_then(|layer| layer.build.platforms.first());
        let platform = platform.ok_or_else(|| CommandError::new(Exit::Invalid, format!("{layer} has no platform")))?;
        let engine = args.engine.open(context)?;
        context.ui.remark(&format!("reading {layer} from {}", image.image.familiar()));
        let exported = export(&*engine, (&image.image, &image.digest), platform, &manifest, &cancel).await;
        let exported = exported.map_err(|error| {
            let failed = CommandError::new(Exit::Build, format!("{layer} can't be read: {}", error.message));
            error.hints.iter().fold(failed, CommandError::hint)
        })?;
        let annotations =
            BTreeMap::from([("dev.lamina.layer", layer.to_string()), ("dev.lamina.image", image.digest.to_string())]);
        let published = publish(registry, &at, &manifest, &exported.folders, &annotations).await;
        let published = published.map_err(|error| images::failed(context, 1, &[&error]))?;
        Ok((at, published))
    })?
}
