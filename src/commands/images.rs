//! What the commands about external images share: which images are meant, how registries are asked, how the lock is
//! written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::Context;
use super::error::CommandError;
use super::exit::Exit;
use crate::lock::{self, LockText};
use crate::model::{Digest, ImageRef, LayerName};
use crate::registry::{Options, RegistryError, RegistryErrorKind, RetryPolicy};
use crate::report::count;
use crate::report::pins::{Pin, PinState};
use crate::snapshot::Snapshot;

/// How registries are asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registries")]
pub struct RegistryArgs {
    /// Trust the certificate authorities in FILE (PEM), besides the system's; may be repeated
    #[arg(long, value_name = "FILE", env = "LAMINA_CA_FILE", hide_env_values = true)]
    pub ca_file: Vec<PathBuf>,
    /// How long nothing may come from a registry that was asked, or go to it
    #[arg(long, value_name = "SECONDS", env = "LAMINA_REGISTRY_TIMEOUT", hide_env_values = true, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub registry_timeout: u32,
    /// How many requests may be under way at the same time
    #[arg(long, value_name = "N", env = "LAMINA_REGISTRY_REQUESTS", hide_env_values = true, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub registry_requests: u16,
    /// How often a request is repeated that may succeed a second time
    #[arg(long, value_name = "N", env = "LAMINA_REGISTRY_RETRIES", hide_env_values = true, default_value_t = 4, value_parser = clap::value_parser!(u8).range(0..=20))]
    pub registry_retries: u8,
}

impl RegistryArgs {
    /// The options with what the command line says.
    pub fn apply(&self, options: Options) -> Options {
        let retry = RetryPolicy { attempts: u32::from(self.registry_retries) + 1, ..options.retry };
        Options {
            authorities: self.ca_file.clone(),
            timeout: Duration::from_secs(self.registry_timeout.into()),
            concurrency: self.registry_requests.into(),
            retry,
            ..options
        }
    }
}

/// The images of a catalog, each with the layers that name it, and those that only the lock names.
pub fn pins(snapshot: &Snapshot) -> Vec<Pin<'_>> {
    let mut used: BTreeMap<&ImageRef, BTreeSet<&LayerName>> = BTreeMap::new();
    for (image, users) in snapshot.images() {
        used.insert(image, users.into_iter().map(|(name, _)| name).collect());
    }
    for (image, _) in snapshot.lock.iter() {
        used.entry(image).or_default();
    }
    let pin = |(image, layers): (_, BTreeSet<_>)| {
        let locked = snapshot.lock.get(image).map(|locked| &locked.digest);
        let state = match (locked, layers.is_empty()) {
            (None, _) => PinState::Missing,
            (Some(_), true) => PinState::Unused,
            (Some(_), false) => PinState::Locked,
        };
        let layers = layers.into_iter().collect();
        Pin { image, state, locked, now: None, newer: Vec::new(), layers, error: None }
    };
    used.into_iter().map(pin).collect()
}

/// Leaves the pins that words mean: an image, or a name without a tag. No word means all.
///
/// # Errors
/// When a word means none.
pub fn select<'a>(pins: Vec<Pin<'a>>, words: &[String]) -> Result<Vec<Pin<'a>>, CommandError> {
    if words.is_empty() {
        return Ok(pins);
    }
    let is_meant = |image: &ImageRef, word: &str| {
        let name = image.familiar();
        let without_tag = name.rsplit_once(':').map_or("", |(name, _)| name).to_owned();
        let full = format!("{}/{}", image.registry(), image.repository());
        [&name, &without_tag, &image.to_string(), &full].into_iter().any(|known| known == word)
    };
    for word in words {
        if !pins.iter().any(|pin| is_meant(pin.image, word)) {
            let known: Vec<String> = pins.iter().map(|pin| pin.image.familiar()).collect();
            return Err(CommandError::unknown("image", word, known.iter().map(String::as_str)));
        }
    }
    Ok(pins.into_iter().filter(|pin| words.iter().any(|word| is_meant(pin.image, word))).collect())
}

/// Takes what a registry says of a pin's tag; what it could not say is returned.
pub fn compare(pin: &mut Pin<'_>, answer: Result<Digest, RegistryError>) -> Option<RegistryError> {
    match answer {
        Ok(now) => {
            if pin.locked.is_some_and(|locked| *locked != now) {
                pin.state = PinState::Moved;
            }
            pin.now = Some(now);
            None
        }
        Err(RegistryError { kind: RegistryErrorKind::NotFound { .. }, .. }) => {
            pin.state = PinState::Gone;
            None
        }
        Err(error) => {
            pin.state = PinState::Unknown;
            pin.error = Some(error.kind.to_string());
            Some(error)
        }
    }
}

/// One error for all that went wrong with registries; each is said on a line of its own before.
pub fn failed(context: &Context<'_>, asked: usize, errors: &[&RegistryError]) -> CommandError {
    // A registry that can't be reached is silent about digests and tags alike.
    let said: BTreeSet<String> = errors.iter().map(|error| error.to_string()).collect();
    said.iter().for_each(|text| context.ui.remark(text));
    let failed = errors.iter().map(|error| &error.image).collect::<BTreeSet<_>>().len();
    let message = match (failed, asked) {
        (1, 1) => "the image could not be looked up".to_owned(),
        (failed, asked) => format!("{failed} of {} could not be looked up", count(asked, "image")),
    };
    let mut error = CommandError::new(Exit::Registry, message);
    let hints: BTreeSet<String> = errors.iter().filter_map(|error| hint(error)).collect();
    error = hints.into_iter().fold(error, CommandError::hint);
    if errors.iter().any(|error| matches!(error.kind, RegistryErrorKind::Unreachable { .. })) {
        error = error.hint("`build`, `plan`, `status`, `suggest`, `verify`, `show --units`, `lock`, `outdated` and `update` ask registries; all else works without a network");
    }
    error
}

/// What to do about an answer that could not be had.
fn hint(error: &RegistryError) -> Option<String> {
    let host = &error.host;
    let login = match &**host {
        "registry-1.docker.io" => "docker login".to_owned(),
        host => format!("docker login {host}"),
    };
    match &error.kind {
        RegistryErrorKind::Unreachable { .. } => {
            Some(format!("is {host} right? `mirrors` and `plain_http` stand in catalog/catalog.ncl, or in an overlay"))
        }
        RegistryErrorKind::Tls { .. } => Some(format!(
            "is the certificate of {host} from an authority of your own? --ca-file FILE names it; a host that speaks no TLS \
             has to stand in `plain_http`"
        )),
        RegistryErrorKind::Unauthorized { .. } => Some(format!("log in: `{login}`")),
        RegistryErrorKind::RateLimited { .. } => Some(format!("try again later, or log in: `{login}`")),
        _ => None,
    }
}

/// The text of the lock, to be edited.
///
/// # Errors
/// When it can't be edited.
pub fn lock_text(snapshot: &Snapshot, name: &str) -> Result<LockText, CommandError> {
    LockText::parse(name, snapshot.lock_text.as_deref()).map_err(|findings| {
        // The catalog's own reading of the lock found nothing.
        CommandError::failure(format!("{name} can't be edited"), findings[0].message.clone())
    })
}

/// Writes the lock, aside and then by its name, if it is still what was read.
///
/// # Errors
/// When it has changed meanwhile, or can't be written.
pub fn write(context: &Context<'_>, snapshot: &Snapshot, text: &LockText) -> Result<(), CommandError> {
    let path = context.lock_path();
    replace(&path, snapshot.lock_text.as_deref(), &text.to_string())
}

/// Replaces a file's content in one step, if it is still what was read.
///
/// # Errors
/// When it has changed meanwhile, or can't be written.
pub fn replace(path: &Path, old: Option<&str>, new: &str) -> Result<(), CommandError> {
    let failed =
        |cause: &dyn std::fmt::Display| CommandError::failure(format!("{} can't be written", path.display()), cause);
    let now = match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(&error)),
    };
    if now.as_deref() != old.map(str::as_bytes) {
        return Err(failed(&"it has changed meanwhile").hint("run the command again"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any new file, but for what the umask takes away; a lock that is there keeps its mode.
    let new_file = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .prefix(".lamina-")
        .permissions(new_file)
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    if let Ok(metadata) = std::fs::metadata(path) {
        file.as_file().set_permissions(metadata.permissions()).map_err(|error| failed(&error))?;
    }
    file.write_all(new.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(|error| failed(&error))?;
    file.persist(path).map_err(|error| failed(&error.error))?;
    Ok(())
}

/// What a lock's name is for people.
pub fn lock_name(snapshot: &Snapshot, context: &Context<'_>) -> String {
    snapshot.lock_file.clone().unwrap_or_else(|| match context.lock_path().file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => lock::FILE.to_owned(),
    })
}
