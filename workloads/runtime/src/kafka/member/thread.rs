//! The thread of a member: it polls, commits and looks where partitions end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ordermill_config::{TroubleReason, full_error};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};

use super::super::{ConnectionError, Health, reason_of};
use super::MemberSettings;
use super::context::MemberContext;
use super::offsets::{ends, list_at};
use super::partitions::{PartitionKey, Partitions};

/// Longest wait for a message; commands wait as long.
const POLL: Duration = Duration::from_millis(50);
/// The same while a partition is paused, which may be resumed at any time.
const POLL_PAUSED: Duration = Duration::from_millis(5);
/// Time between two commits; what is done in between is committed together, and repeated after a kill.
const COMMIT: Duration = Duration::from_millis(100);
/// Time between two looks at the ends of partitions.
const LOOK: Duration = Duration::from_secs(1);
/// Time before a client is made anew after a fatal error.
const BACKOFF: Duration = Duration::from_secs(1);

/// What a member is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Leave, and join with a new client.
    Rejoin,
    /// Finish what is in flight, commit, and leave.
    Close,
    /// Leave as things are.
    Abandon,
}

pub(super) struct MemberThread {
    pub(super) settings: MemberSettings,
    pub(super) commands: Receiver<Command>,
    pub(super) partitions: Arc<Partitions>,
    pub(super) health: Arc<Health>,
    pub(super) span: tracing::Span,
}

type Client = BaseConsumer<MemberContext>;

impl MemberThread {
    /// Starts it with a first client, so that settings that cannot be used are told at once.
    pub(super) fn start(self) -> Result<JoinHandle<()>, ConnectionError> {
        let client = self.client()?;
        let named = thread::Builder::new().name("kafka-member".to_owned());
        named
            .spawn(move || {
                let span = self.span.clone();
                span.in_scope(|| self.run(client));
            })
            .map_err(ConnectionError::Thread)
    }

    fn client(&self) -> Result<Client, ConnectionError> {
        let context = MemberContext {
            partitions: Arc::clone(&self.partitions),
            health: Arc::clone(&self.health),
            span: self.span.clone(),
            start: self.settings.start.clone(),
            leaving: AtomicBool::new(false),
        };
        let config = self.settings.config()?;
        let client: Client = config
            .create_with_context(context)
            .map_err(ConnectionError::Client)?;
        let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(ConnectionError::Client)?;
        Ok(client)
    }

    fn run(&self, mut client: Client) {
        loop {
            let command = self.live(&client);
            let context = Arc::clone(client.context());
            match command {
                Command::Abandon => _ = self.partitions.take(&self.partitions.keys()),
                Command::Rejoin | Command::Close => {
                    context.give_back(&client, &self.partitions.keys());
                }
            }
            self.partitions.lock().joined = false;
            context.leaving.store(true, Ordering::Release);
            // This leaves the group.
            drop(client);
            if command != Command::Rejoin {
                return;
            }
            client = loop {
                match self.client() {
                    Ok(client) => break client,
                    Err(error) => {
                        let told = full_error(&error);
                        self.health
                            .report(TroubleReason::ConfigurationInvalid, told);
                    }
                }
                match self.commands.recv_timeout(BACKOFF) {
                    Err(RecvTimeoutError::Timeout) | Ok(Command::Rejoin) => {}
                    Err(RecvTimeoutError::Disconnected) | Ok(_) => return,
                }
            };
        }
    }

    /// Polls until something else is to be done.
    fn live(&self, client: &Client) -> Command {
        let (over, end) = channel::<()>();
        let (partitions, span) = (&*self.partitions, &self.span);
        thread::scope(|scope| {
            // A broker that is slow to answer does not keep messages waiting.
            let looking = thread::Builder::new()
                .name("kafka-ends".to_owned())
                .spawn_scoped(scope, move || {
                    span.in_scope(|| look_at_ends(client, partitions, &end));
                });
            if let Err(error) = looking {
                tracing::warn!(%error, "no thread can be had: the lag stays unknown");
            }
            let command = self.poll(client);
            drop(over);
            command
        })
    }

    fn poll(&self, client: &Client) -> Command {
        let mut last_commit = Instant::now();
        let mut any_paused = false;
        loop {
            match self.commands.try_recv() {
                Ok(command) => return command,
                Err(TryRecvError::Disconnected) => return Command::Close,
                Err(TryRecvError::Empty) => {}
            }
            let wait = if any_paused { POLL_PAUSED } else { POLL };
            match client.poll(wait) {
                None => {}
                Some(Ok(message)) => {
                    if let Some(key) = self.partitions.hand_over(message.detach()) {
                        any_paused = true;
                        self.note(pause(client, &[key]));
                    }
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    tracing::warn!(%error, "the Kafka client met a fatal error and is replaced");
                    return match self.commands.recv_timeout(BACKOFF) {
                        Ok(command) => command,
                        Err(RecvTimeoutError::Timeout) => Command::Rejoin,
                        Err(RecvTimeoutError::Disconnected) => Command::Close,
                    };
                }
                Some(Err(error)) => self.note(Err(error)),
            }
            if any_paused {
                let (room, still) = self.partitions.to_resume();
                any_paused = still;
                self.note(resume(client, &room));
            }
            if last_commit.elapsed() >= COMMIT {
                self.commit(client);
                last_commit = Instant::now();
            }
        }
    }

    fn commit(&self, client: &Client) {
        let behind = self.partitions.to_commit();
        if behind.is_empty() {
            return;
        }
        let at: Vec<_> = behind
            .into_iter()
            .map(|(key, offset)| (key, Offset::Offset(offset)))
            .collect();
        // How it went comes by the callback.
        self.note(list_at(&at).and_then(|list| client.commit(&list, CommitMode::Async)));
    }

    fn note(&self, result: KafkaResult<()>) {
        if let Err(error) = result {
            self.health.report(reason_of(&error), error.to_string());
        }
    }
}

/// Looks where the partitions end, until it is over.
fn look_at_ends(client: &Client, partitions: &Partitions, end: &Receiver<()>) {
    while end.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let found = ends(client, &partitions.keys());
        let mut state = partitions.lock();
        match found {
            Ok(found) => {
                for (key, offset) in found {
                    if let Some(assigned) = state.partitions.get_mut(&key) {
                        assigned.end = Some(offset);
                    }
                }
            }
            // What was true is not known to be true any more.
            Err(error) => {
                tracing::debug!(%error, "Kafka does not say where the partitions end");
                state.partitions.values_mut().for_each(|it| it.end = None);
            }
        }
    }
}

fn pause(client: &Client, keys: &[PartitionKey]) -> KafkaResult<()> {
    client.pause(&list_of(keys)?)
}

fn resume(client: &Client, keys: &[PartitionKey]) -> KafkaResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    client.resume(&list_of(keys)?)
}

fn list_of(keys: &[PartitionKey]) -> KafkaResult<rdkafka::TopicPartitionList> {
    let all: Vec<_> = keys
        .iter()
        .map(|key| (key.clone(), Offset::Invalid))
        .collect();
    list_at(&all)
}
