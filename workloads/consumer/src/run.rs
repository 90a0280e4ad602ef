//! A consumer from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use ordermill_config::{ConsumerSettings, KafkaConnection, WorkloadSettings};
use ordermill_crds::Topic;
use ordermill_runtime::kafka::{
    ConnectionError, Member, MemberSettings, PartitionStream, ensure_topics,
};
use ordermill_runtime::state::Phase;
use ordermill_runtime::{Workload, WorkloadEnd};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::Instrument as _;

use crate::dead_letters::DeadLetters;
use crate::handler::{Handler, HandlerError};
use crate::live::LiveSender;
use crate::partition::{PartitionTask, Shared, Wish};

/// Time between two views of the membership.
const VIEW: Duration = Duration::from_millis(250);

/// Why a consumer cannot run, or ends before it is asked to. Troubles that may pass are not among them: they are shown and
/// waited out.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The documents do not describe a consumer.
    #[error("the documents do not describe a consumer: {0} is missing")]
    Documents(&'static str),
    /// No client can be made.
    #[error("no Kafka client can be made")]
    Connection(#[from] ConnectionError),
    /// No handler can be made.
    #[error("there is no handler")]
    Handler(#[from] HandlerError),
    /// A part of it broke down.
    #[error("a part of the consumer broke down")]
    Broken(#[from] JoinError),
    /// Its member of the group broke down, which has said so.
    #[error("the member of the consumer group broke down")]
    Member,
    /// A fault ends it on purpose: the process is to abort, with telemetry and nothing else finished.
    #[error("the process aborts on purpose: injected by crash")]
    Crash,
}

type Controls = ordermill_runtime::Controls<LiveSender>;

/// Handles messages until it is asked to end.
///
/// # Errors
/// When its documents or its Kafka settings cannot be used at all, and [`ConsumerError::Crash`].
pub async fn run_consumer(workload: Workload) -> Result<WorkloadEnd, ConsumerError> {
    let span = workload.telemetry.log().span();
    run(workload).instrument(span).await
}

async fn run(workload: Workload) -> Result<WorkloadEnd, ConsumerError> {
    let document = Arc::clone(&workload.document);
    let WorkloadSettings::Consumer(settings) = &document.workload else {
        return Err(ConsumerError::Documents("consumer settings"));
    };
    let kafka = document.kafka.clone();
    let kafka = kafka.ok_or(ConsumerError::Documents("kafka"))?;
    let mut controls = Controls::new(&workload, LiveSender::new)
        .ok_or(ConsumerError::Documents("consumer tuning"))?;
    let (wishes, mut received) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        handler: Handler::new(&workload, settings)?,
        dead_letters: DeadLetters::new(&workload, settings, &kafka)?,
        workload: workload.clone(),
        settings: settings.clone(),
        started: Instant::now(),
        wishes,
    });
    tracing::info!(
        generation = workload.state.version().generation,
        kafka = %kafka.bootstrap_servers,
        group = settings.group,
        instance = workload.instance.name,
        "the consumer starts"
    );
    if !get_ready(&workload, settings, &kafka, &mut controls).await {
        workload.state.set_phase(Phase::Stopped);
        return Ok(WorkloadEnd::Stopped);
    }
    let mut member = Member::join(
        member_settings(&workload, settings, kafka),
        &workload.health,
    )?;
    controls.begin();
    let mut partitions = JoinSet::new();
    let mut view = interval(VIEW);
    view.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let begin = |partitions: &mut JoinSet<()>, stream: PartitionStream, controls: &Controls| {
        let live = controls.tuned.subscribe();
        let task = PartitionTask::new(Arc::clone(&shared), stream, live);
        partitions.spawn(task.run().in_current_span());
    };
    let crashes = loop {
        tokio::select! {
            biased;
            () = workload.cancelled.cancelled() => break false,
            () = controls.changed() => controls.apply(),
            Some(wish) = received.recv() => match wish {
                Wish::Rejoin => member.rejoin(),
                Wish::Crash => break true,
            },
            Some(ended) = partitions.join_next() => ended?,
            stream = member.next_partition() => begin(&mut partitions, stream, &controls),
            _ = second.tick() => {
                if member.has_broken_down() {
                    return Err(ConsumerError::Member);
                }
                controls.observe();
            }
            _ = view.tick() => show(&workload, &member),
        }
    };
    if crashes {
        partitions.abort_all();
        member.abandon();
        return Err(ConsumerError::Crash);
    }
    workload.state.set_phase(Phase::Stopping);
    // Asked to end, a message in flight is finished, and what waits is left to the group.
    if tokio::time::timeout(workload.drain, member.close())
        .await
        .is_err()
    {
        tracing::warn!("the group could not be left in time: it misses this member soon");
    }
    while let Some(ended) = partitions.join_next().await {
        ended?;
    }
    workload.state.set_phase(Phase::Stopped);
    tracing::info!("the consumer has stopped");
    Ok(WorkloadEnd::Stopped)
}

fn member_settings(
    workload: &Workload,
    settings: &ConsumerSettings,
    connection: KafkaConnection,
) -> MemberSettings {
    let topics = settings.topics.iter();
    MemberSettings {
        connection,
        client_id: workload.instance.name.clone(),
        group: settings.group.clone(),
        protocol: settings.group_protocol,
        topics: topics.map(|topic| topic.name.to_string()).collect(),
        start: settings.start_from.clone(),
    }
}

fn show(workload: &Workload, member: &Member) {
    let counters = workload.telemetry.counters();
    counters.set_membership(member.membership());
}

/// Waits until Kafka and the topics are there; `false`: asked to end before that.
async fn get_ready(
    workload: &Workload,
    settings: &ConsumerSettings,
    kafka: &KafkaConnection,
    controls: &mut Controls,
) -> bool {
    let id = &workload.instance.name;
    let ensure = || {
        let topics = settings.topics.iter();
        let topics = topics.chain(settings.on_failure.dead_letter_topics());
        let topics: Vec<&Topic> = topics.collect();
        ensure_topics(kafka, id, topics, settings.create_topics, &workload.health)
    };
    // Every trouble with topics may pass.
    let ready = controls.until_ready(ensure, |error| Some(error.reason()));
    matches!(ready.await, Ok(Some(())))
}
