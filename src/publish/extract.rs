//! A file out of an image, through the engine: no layer of the image comes to this machine.

use std::io::Read;

use tokio_util::sync::CancellationToken;

use super::proof::{exec_form, folder};
use crate::engine::{Engine, Output, Solve, SolveError};
use crate::event::FailureKind;
use crate::model::{Digest, ImageRef, Network, Platform};

/// A file out of an image, its first `most` bytes; `None` where the image has no such file.
///
/// # Errors
/// When the engine can't read the image.
pub(super) async fn extract(
    engine: &dyn Engine,
    (image, digest): (&ImageRef, &Digest),
    platform: &Platform,
    path: &str,
    most: u64,
    cancel: &CancellationToken,
) -> Result<Option<Vec<u8>>, SolveError> {
    let from = format!("{}/{}@{digest}", image.registry(), image.repository());
    let paths = exec_form(&[path.to_owned(), "/file".to_owned()]);
    let folder = folder(&format!("FROM scratch\nCOPY --from={from} {paths}\n"))?;
    let out = folder.path().join("out");
    let solve = Solve {
        dockerfile: folder.path().join("Dockerfile"),
        context: folder.path().to_owned(),
        platforms: vec![platform.clone()],
        network: Network::None,
        output: Output::Folder(out.clone()),
        ..Solve::default()
    };
    match engine.solve(&solve, &mut |_| {}, cancel).await {
        Ok(_) => {}
        // There is no such file.
        Err(error) if error.kind == FailureKind::Context => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    // What is no file that can be read, a folder or a link that leads nowhere, is none here.
    let read = std::fs::File::open(out.join("file")).and_then(|file| file.take(most).read_to_end(&mut bytes));
    Ok(read.is_ok().then_some(bytes))
}
