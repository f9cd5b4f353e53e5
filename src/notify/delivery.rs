//! Messages on their way: a queue with a bound, and the thread that empties it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::{ConnectOptions, Event, RequestErrorKind, ServerAddr};
use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use super::{Login, Settings};

/// How many messages wait at most; of a run of a few thousand layers, all that is told before anything is built.
const QUEUE: usize = 8192;

/// How long a server has to answer when it is connected to.
const CONNECT: Duration = Duration::from_secs(2);

/// How often a server is asked whether it is still there.
const PING: Duration = Duration::from_secs(10);

/// How long the last messages have to arrive once a run is over.
pub const FLUSH: Duration = Duration::from_secs(2);

/// How often it is looked whether waiting is of use.
const LOOK: Duration = Duration::from_millis(20);

/// The longest text that is told of what a server says.
const LONGEST: usize = 200;

/// What is sent.
struct Outbound {
    subject: String,
    payload: Bytes,
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has answered yet, and nobody has refused.
    Trying,
    Connected,
    /// It was there, and is looked for again.
    Lost,
    /// It was never there.
    Absent,
    /// All was sent, and the server has it.
    Done,
}

/// What both sides of the queue know.
#[derive(Debug)]
struct Shared {
    given: AtomicU64,
    delivered: AtomicU64,
    state: watch::Sender<State>,
    /// How often the server has refused something.
    refusals: watch::Sender<u64>,
    why: Mutex<Option<String>>,
}

/// The end of the queue that messages are put into.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<Outbound>,
    shared: Arc<Shared>,
    /// What subjects begin with.
    base: String,
}

/// What is asked, once a run is over, about its messages.
#[derive(Debug)]
pub struct Delivery {
    shared: Arc<Shared>,
    ended: std::sync::mpsc::Receiver<()>,
    place: String,
}

/// A queue, and the thread that empties it.
pub(super) fn open(settings: Settings) -> io::Result<(Queue, Delivery)> {
    let shared = Arc::new(Shared {
        given: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
        state: watch::Sender::new(State::Trying),
        refusals: watch::Sender::new(0),
        why: Mutex::new(None),
    });
    let (sender, queue) = mpsc::channel(QUEUE);
    let (end, ended) = sync_channel(1);
    let place = settings.servers.to_string();
    let base = format!("{}.{}", settings.prefix, settings.workspace);
    let options = options(&settings.login, Arc::clone(&shared))?;
    let address = |text: &String| text.parse::<ServerAddr>();
    let servers = settings.servers.addresses().iter().map(address).collect::<Result<Vec<_>, _>>()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let work = deliver(options, servers, queue, Arc::clone(&shared));
    let run = move || {
        runtime.block_on(work);
        // A name that is still being looked up is waited for by nobody.
        runtime.shutdown_background();
        let _ = end.send(());
    };
    thread::Builder::new().name("events".to_owned()).spawn(run)?;
    Ok((Queue { sender, shared: Arc::clone(&shared), base }, Delivery { shared, ended, place }))
}

impl Queue {
    /// Sends a message at a subject below the workspace's. Where the queue is full, it is dropped.
    pub fn send(&self, what: &str, payload: Vec<u8>) {
        self.shared.given.fetch_add(1, Ordering::Relaxed);
        let subject = format!("{}.{what}", self.base);
        // What was given and not delivered is counted; nobody needs to know where it went.
        let _ = self.sender.try_send(Outbound { subject, payload: payload.into() });
    }
}

impl Delivery {
    /// Waits for the last messages, at most [`FLUSH`], and not at all for a server that was never there. The queue's
    /// other end has to be dropped before. Returns what did not arrive, and why.
    pub fn finish(self) -> Option<String> {
        let deadline = Instant::now() + FLUSH;
        let look = || LOOK.min(deadline.saturating_duration_since(Instant::now()));
        while self.ended.recv_timeout(look()) == Err(RecvTimeoutError::Timeout) {
            if self.state() == State::Absent || Instant::now() >= deadline {
                break;
            }
        }
        let [given, delivered] = [&self.shared.given, &self.shared.delivered].map(|n| n.load(Ordering::Relaxed));
        let why = self.shared.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = why.unwrap_or_else(|| format!("it did not answer in {} s", FLUSH.as_secs()));
        let place = &self.place;
        match (delivered < given, self.state()) {
            (true, _) => Some(format!("{} of {given} events did not reach {place}: {why}", given - delivered)),
            (false, State::Done) => None,
            (false, _) => Some(format!("whether the last events have reached {place} is not known: {why}")),
        }
    }

    /// Whether the server is there at this moment.
    pub fn is_connected(&self) -> bool {
        self.state() == State::Connected
    }

    fn state(&self) -> State {
        *self.shared.state.borrow()
    }
}

impl Shared {
    fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    fn because(&self, why: &str) {
        let why = why.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    fn note(&self, event: &Event) {
        let before = *self.state.borrow();
        match event {
            Event::Connected => self.set(State::Connected),
            Event::Disconnected => {
                self.because("the connection was lost");
                self.set(State::Lost);
            }
            Event::ServerError(error) => {
                self.because(&error.to_string());
                self.refusals.send_modify(|refusals| *refusals += 1);
            }
            Event::ClientError(error) => {
                self.because(&error.to_string());
                if before == State::Trying {
                    self.set(State::Absent);
                }
            }
            _ => {}
        }
    }
}

/// How the server is spoken to. It is looked for until there is nothing more to send.
fn options(login: &Login, shared: Arc<Shared>) -> io::Result<ConnectOptions> {
    let options = ConnectOptions::new()
        .name("lamina")
        .connection_timeout(CONNECT)
        .ping_interval(PING)
        .retry_on_initial_connect()
        // A login goes to the servers that were named, and to none that these name.
        .ignore_discovered_servers()
        .client_capacity(1)
        .event_callback(move |event| {
            let shared = Arc::clone(&shared);
            async move { shared.note(&event) }
        });
    match login {
        Login::None => Ok(options),
        Login::Nkey(seed) => Ok(options.nkey(seed.expose().to_owned())),
        Login::Credentials(text) => options.credentials(text.expose()),
    }
}

async fn deliver(
    options: ConnectOptions,
    servers: Vec<ServerAddr>,
    mut queue: mpsc::Receiver<Outbound>,
    shared: Arc<Shared>,
) {
    let client = match options.connect(servers).await {
        Ok(client) => client,
        Err(error) => {
            shared.because(&error.to_string());
            return shared.set(State::Absent);
        }
    };
    let mut state = shared.state.subscribe();
    while let Some(Outbound { subject, payload }) = queue.recv().await {
        // While nobody is there, messages stay in the queue, where they are counted.
        if state.wait_for(|state| *state == State::Connected).await.is_err() {
            return;
        }
        let sent = match client.publish(subject, payload).await {
            Ok(()) => client.flush().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match sent {
            Ok(()) => drop(shared.delivered.fetch_add(1, Ordering::Relaxed)),
            Err(why) => shared.because(&why),
        }
    }
    // A server answers in order: it has the messages when it answers to what comes behind them, be it by refusing it. What
    // is asked is whether anybody listens where nobody does.
    let mut refusals = shared.refusals.subscribe();
    let is_answered = tokio::select! {
        answer = client.request(client.new_inbox(), Bytes::new()) => match answer {
            Ok(_) => true,
            Err(error) => error.kind() == RequestErrorKind::NoResponders,
        },
        refused = refusals.changed() => refused.is_ok(),
    };
    if is_answered {
        shared.set(State::Done);
    }
}
