//! The target folders of a cooked layer, out of its image and onto this machine, through the engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Output, Solve, SolveError};
use crate::event::FailureKind;
use crate::model::{Digest, ImageRef, Network, Platform};
use crate::unit::Manifest;

/// The target folders of a layer; they are gone when this is.
#[derive(Debug)]
pub struct Exported {
    _folder: TempDir,
    /// The folders of the manifest's cooks, in their order.
    pub folders: Vec<PathBuf>,
}

/// Fetches the target folders that a manifest names out of its image, as a whole: some hundred megabytes.
///
/// # Errors
/// When the engine can't read the image, or this machine has no room for it.
pub async fn export(
    engine: &dyn Engine,
    (image, digest): (&ImageRef, &Digest),
    platform: &Platform,
    manifest: &Manifest,
    cancel: &CancellationToken,
) -> Result<Exported, SolveError> {
    let no_folder = |error: std::io::Error| SolveError::new(FailureKind::Context, error.to_string());
    let folder = tempfile::Builder::new().prefix("lamina-units-").tempdir().map_err(no_folder)?;
    let out = folder.path().join("out");
    let from = format!("{}/{}@{digest}", image.registry(), image.repository());
    let mut places: BTreeMap<&str, PathBuf> = BTreeMap::new();
    let mut dockerfile = "FROM scratch\n".to_owned();
    for cook in &manifest.cooks {
        if !places.contains_key(&*cook.target_dir) {
            let place = places.len().to_string();
            let paths = serde_json::json!([cook.target_dir, format!("/{place}")]);
            dockerfile += &format!("COPY --from={from} {paths}\n");
            places.insert(&cook.target_dir, out.join(place));
        }
    }
    let written = fs::write(folder.path().join("Dockerfile"), dockerfile);
    written.map_err(no_folder)?;
    let solve = Solve {
        dockerfile: folder.path().join("Dockerfile"),
        context: folder.path().to_owned(),
        platforms: vec![platform.clone()],
        network: Network::None,
        output: Output::Folder(out),
        ..Solve::default()
    };
    engine.solve(&solve, &mut |_| {}, cancel).await?;
    let folders = manifest.cooks.iter().filter_map(|cook| places.get(&*cook.target_dir).cloned()).collect();
    Ok(Exported { _folder: folder, folders })
}
