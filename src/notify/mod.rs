//! What happens in a run, told to other programs: messages on NATS, at `<prefix>.<workspace>.build.<event>`.
//!
//! It is best effort, and a reader of events like all others: a server that is down, slow or silent neither fails nor
//! delays a build. Messages wait in a queue with a bound, and a thread of its own delivers them; what could not be
//! delivered is counted, and told once, when the run is over. [`Message`] is what is sent, `delivery` sends it.

mod delivery;
mod message;

use std::io;

pub use delivery::{Delivery, FLUSH};
pub use message::{Message, Name, Subject, VERSION};

use crate::event::{Event, Reader};
use crate::host::secret::Secret;
use crate::model::NatsServers;

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The servers of one NATS.
    pub servers: NatsServers,
    /// Who sends.
    pub login: Login,
    /// What subjects begin with.
    pub prefix: String,
    /// The subjects' second part, and a field of each message.
    pub workspace: String,
}

/// How NATS is told who sends.
#[derive(Clone, Debug, Default)]
pub enum Login {
    /// Nobody in particular.
    #[default]
    None,
    /// By the seed of an nkey.
    Nkey(Secret),
    /// By the content of a `.creds` file: a JWT and the seed of its nkey.
    Credentials(Secret),
}

/// Publishes what a run's events say.
#[derive(Debug)]
pub struct Notifier {
    subject: Subject,
    queue: delivery::Queue,
}

/// A reader of a run's events, and what is asked once the run is over and the reader is dropped.
///
/// # Errors
/// When the login can't be used, or there is no thread for it. No server is asked here.
pub fn open(settings: Settings) -> io::Result<(Notifier, Delivery)> {
    let subject = Subject::new(&settings.workspace);
    let (queue, delivery) = delivery::open(settings)?;
    Ok((Notifier { subject, queue }, delivery))
}

/// Sends one message at `<prefix>.<workspace>.<what>`, and waits for it as long as for the last one of a run. Returns why
/// it did not arrive, where that is so.
///
/// # Errors
/// When the login can't be used, or there is no thread for it.
pub fn send(settings: Settings, what: &str, payload: Vec<u8>) -> io::Result<Option<String>> {
    let (queue, delivery) = delivery::open(settings)?;
    queue.send(what, payload);
    drop(queue);
    Ok(delivery.finish())
}

impl Reader for Notifier {
    fn read(&mut self, event: &Event) {
        for message in self.subject.messages(event) {
            // Messages always have a JSON form.
            let payload = serde_json::to_vec(&message).unwrap_or_default();
            self.queue.send(&format!("build.{}", message.event.as_str()), payload);
        }
    }
}
