//! Signals that ask lamina to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A person at the terminal: SIGINT.
    Interrupt,
    /// The system, a supervisor, a terminal that goes: SIGTERM, SIGHUP.
    Terminate,
}

/// The signals that ask lamina to end. From the moment that this is made they don't end it any more by themselves, for
/// the rest of the process.
#[derive(Debug)]
pub struct Signals(Heard);

#[derive(Debug)]
enum Heard {
    System { interrupt: Signal, terminate: Signal, hangup: Signal },
    Told(UnboundedReceiver<Asked>),
}

impl Signals {
    /// Listens from now on. Only within the runtime.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(Heard::System {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        }))
    }

    /// What somebody in this process says instead of the system.
    pub fn told(by: UnboundedReceiver<Asked>) -> Self {
        Self(Heard::Told(by))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        match &mut self.0 {
            Heard::System { interrupt, terminate, hangup } => tokio::select! {
                _ = interrupt.recv() => Asked::Interrupt,
                _ = terminate.recv() => Asked::Terminate,
                _ = hangup.recv() => Asked::Terminate,
            },
            Heard::Told(told) => match told.recv().await {
                Some(asked) => asked,
                None => std::future::pending().await,
            },
        }
    }
}
