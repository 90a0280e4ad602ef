//! A member of a consumer group: each partition that it is given is a stream of its own, in order, with its own progress.
//!
//! One thread polls librdkafka, so that the group sees a live member however long a message takes. What waits for a stream is
//! bounded: a partition whose stream is behind is paused, and resumed when there is room.

mod context;
mod offsets;
mod partitions;
mod stream;
mod thread;

use std::sync::{Arc, mpsc};

use ordermill_config::KafkaConnection;
use ordermill_crds::{GroupProtocol, StartFrom};
use rdkafka::ClientConfig;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use self::partitions::Partitions;
pub use self::stream::PartitionStream;
use self::thread::{Command, MemberThread};
use super::credentials::CredentialWatch;
use super::{ConnectionError, Health, client_config};
use crate::telemetry::Membership;

/// How a group is joined.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// How Kafka is reached.
    pub connection: KafkaConnection,
    /// The client's name in the brokers' logs and quotas.
    pub client_id: String,
    /// The group.
    pub group: String,
    /// The protocol that the group speaks.
    pub protocol: GroupProtocol,
    /// The topics to read.
    pub topics: Vec<String>,
    /// Where the group begins in a partition that it has no commit of.
    pub start: StartFrom,
}

impl MemberSettings {
    fn config(&self) -> Result<ClientConfig, ConnectionError> {
        let mut config = client_config(&self.connection, &self.client_id)?;
        // What is not ours to decide can be set by the resource's `kafka.properties`.
        let defaults: &[(&str, &str)] = match self.protocol {
            // A member that is gone without a word is missed after ten seconds; one that comes is heard of within one.
            GroupProtocol::Classic => &[
                ("session.timeout.ms", "10000"),
                ("heartbeat.interval.ms", "1000"),
            ],
            // There the broker decides.
            GroupProtocol::Consumer => &[],
        };
        // Partitions that are added are found within ten seconds.
        let common = [
            ("topic.metadata.refresh.interval.ms", "10000"),
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.wait.max.ms", "100"),
        ];
        for (name, value) in defaults.iter().chain(&common) {
            if config.get(name).is_none() {
                config.set(*name, *value);
            }
        }
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            // Of what is gone by retention, the oldest that is left comes next.
            .set("auto.offset.reset", "earliest");
        match self.protocol {
            GroupProtocol::Classic => config
                .set("group.protocol", "classic")
                .set("partition.assignment.strategy", "cooperative-sticky"),
            GroupProtocol::Consumer => config.set("group.protocol", "consumer"),
        };
        Ok(config)
    }
}

/// A member of a consumer group, for as long as it is not [closed](Self::close).
pub struct Member {
    commands: mpsc::Sender<Command>,
    thread: std::thread::JoinHandle<()>,
    streams: UnboundedReceiver<PartitionStream>,
    partitions: Arc<Partitions>,
    group: String,
    _credentials: AbortOnDropHandle<()>,
}

impl Member {
    /// Joins a group; it goes on trying in the background, and `health` tells why it cannot. It must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// When a file cannot be read, librdkafka refuses the settings, or the system gives no thread.
    pub fn join(settings: MemberSettings, health: &Arc<Health>) -> Result<Self, ConnectionError> {
        let (commands, received) = mpsc::channel();
        let (given, streams) = tokio::sync::mpsc::unbounded_channel();
        let partitions = Arc::new(Partitions::new(given));
        let group = settings.group.clone();
        let watch =
            renew_by_credentials(CredentialWatch::new(&settings.connection), commands.clone());
        let thread = MemberThread {
            settings,
            commands: received,
            partitions: Arc::clone(&partitions),
            health: Arc::clone(health),
            span: tracing::Span::current(),
        };
        Ok(Self {
            thread: thread.start()?,
            commands,
            streams,
            partitions,
            group,
            _credentials: AbortOnDropHandle::new(tokio::spawn(watch.in_current_span())),
        })
    }

    /// The next partition that this member is given. It waits for ever where none comes. Safe to drop at any time.
    pub async fn next_partition(&mut self) -> PartitionStream {
        match self.streams.recv().await {
            Some(stream) => stream,
            None => std::future::pending().await,
        }
    }

    /// Leaves the group and joins it again.
    pub fn rejoin(&self) {
        // A thread that has ended has left already.
        _ = self.commands.send(Command::Rejoin);
    }

    /// Whether its thread has ended, which nobody asked it to: it gives no partition any more.
    #[must_use]
    pub fn has_broken_down(&self) -> bool {
        self.thread.is_finished()
    }

    /// What it knows of itself at the moment.
    #[must_use]
    pub fn membership(&self) -> Membership {
        self.partitions.membership(&self.group)
    }

    /// Ends every stream, waits for what is in flight, commits and leaves.
    pub async fn close(self) {
        let Self {
            commands,
            thread,
            streams,
            ..
        } = self;
        // A stream that nobody has taken yet is over as well.
        drop(streams);
        _ = commands.send(Command::Close);
        // A thread that panicked has said so.
        _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }

    /// Leaves without a commit, as a process does that is killed; only that the group need not wait for its timeout.
    pub fn abandon(self) {
        _ = self.commands.send(Command::Abandon);
    }
}

/// A client made anew takes the rotated certificates and passwords.
async fn renew_by_credentials(mut watch: CredentialWatch, commands: mpsc::Sender<Command>) {
    loop {
        watch.changed().await;
        tracing::info!("the credentials have changed: the Kafka client is replaced");
        if commands.send(Command::Rejoin).is_err() {
            return;
        }
    }
}
