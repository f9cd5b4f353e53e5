//! Where a command tells other programs what happens.

use std::path::{Path, PathBuf};

use super::context::{Context, read_bytes};
use crate::cache::Workspace;
use crate::host::secret::Secret;
use crate::model::{Events, NatsServers};
use crate::notify::{self, Delivery, Login, Notifier, Settings};
use crate::snapshot::Snapshot;

/// The largest file with a login.
const MAX_LOGIN: u64 = 64 << 10;

/// Where events go.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Events")]
pub struct EventArgs {
    /// Tell what happens on this NATS, nats://HOST:PORT or tls://HOST:PORT; none where it is empty [default: the catalog's events.url]
    #[arg(long, value_name = "URL", env = "LAMINA_NATS_URL", hide_env_values = true)]
    pub events_url: Option<NatsServers>,
    /// Log in there with the .creds file FILE
    #[arg(long, value_name = "FILE", env = "LAMINA_NATS_CREDS", hide_env_values = true)]
    pub events_creds: Option<PathBuf>,
    /// Log in there with the nkey seed in FILE; where --events-creds is given as well, with that
    #[arg(long, value_name = "FILE", env = "LAMINA_NATS_NKEY", hide_env_values = true)]
    pub events_nkey: Option<PathBuf>,
}

impl EventArgs {
    /// Where events of a workspace go; nowhere, where no server is named. What keeps them from going there is said and is
    /// no error.
    pub fn settings(&self, context: &Context<'_>, snapshot: &Snapshot, workspace: String) -> Option<Settings> {
        let (events, _) = declared(snapshot);
        let servers = self.events_url.clone().unwrap_or(events.servers);
        if servers.is_empty() {
            return None;
        }
        let login = match self.login(context) {
            Ok(login) => login,
            Err(why) => {
                context.ui.remark(&format!("no events are told: {why}"));
                return None;
            }
        };
        Some(Settings { servers, login, prefix: events.prefix, workspace })
    }

    /// A reader that tells a run's events, and what is asked about it afterwards.
    pub fn open(&self, context: &Context<'_>, snapshot: &Snapshot, workspace: String) -> Option<(Notifier, Delivery)> {
        match notify::open(self.settings(context, snapshot, workspace)?) {
            Ok(open) => Some(open),
            Err(error) => {
                context.ui.remark(&format!("no events are told: {error}"));
                None
            }
        }
    }

    fn login(&self, context: &Context<'_>) -> Result<Login, String> {
        let read = |path: &Path| {
            let text = read_bytes(&context.folder().join(path), MAX_LOGIN).map_err(|error| error.message)?;
            let text = String::from_utf8(text).map_err(|_| format!("{} is no text", path.display()))?;
            Ok::<_, String>(text)
        };
        match (&self.events_creds, &self.events_nkey) {
            (Some(path), _) if !path.as_os_str().is_empty() => Ok(Login::Credentials(Secret::new(read(path)?))),
            (_, Some(path)) if !path.as_os_str().is_empty() => {
                let text = Secret::new(read(path)?);
                // Files of seeds may have remarks, as those that `nk` is given have.
                let seed = text.expose().lines().map(str::trim).find(|line| line.starts_with('S'));
                Ok(Login::Nkey(Secret::new(
                    seed.ok_or_else(|| format!("{} holds no seed of an nkey", path.display()))?,
                )))
            }
            _ => Ok(Login::None),
        }
    }
}

/// What the catalog says of events, and its name.
fn declared(snapshot: &Snapshot) -> (Events, String) {
    let config = snapshot.catalog.config.as_ref();
    config.map(|config| (config.events.clone(), config.name.clone())).unwrap_or_default()
}

/// The workspace that builds are told of as: the one that was named, or the catalog's.
pub fn workspace(snapshot: &Snapshot, named: Option<&Workspace>) -> String {
    let (events, name) = declared(snapshot);
    named.map(ToString::to_string).or(events.workspace).unwrap_or(name)
}
