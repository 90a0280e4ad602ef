//! Topics that a workload needs: created where they are missing, left as they are where they exist.

use std::sync::Arc;
use std::time::Duration;

use ordermill_config::{KafkaConnection, TroubleReason};
use ordermill_crds::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ThreadedProducer};

use super::client::client_config;
use super::context::QuietContext;
use super::{ConnectionError, Health, reason_of};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Asks the broker for its own default of partitions or replicas (KIP-464).
const BROKER_DEFAULT: i32 = -1;

/// Why a topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// No client can be made.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The brokers do not say what topics there are.
    #[error("cannot ask Kafka for topic {topic}")]
    Metadata {
        /// The topic.
        topic: String,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// It is missing and the client may not create it.
    #[error(
        "topic {topic} is missing and this client may not create it: create it, or allow Create on it"
    )]
    Denied {
        /// The topic.
        topic: String,
    },
    /// The client may not see it, so it cannot be told whether it is there.
    #[error("this client may not see topic {topic}: allow Describe and Write on it")]
    Hidden {
        /// The topic.
        topic: String,
    },
    /// It is missing and is managed by somebody else.
    #[error("topic {topic} is missing, and somebody else is to create it")]
    Missing {
        /// The topic.
        topic: String,
    },
    /// It is missing and cannot be created.
    #[error("cannot create topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// Why.
        code: RDKafkaErrorCode,
    },
    /// The request to create it fails.
    #[error("cannot ask Kafka to create topic {topic}")]
    Request {
        /// The topic.
        topic: String,
        /// What the client said.
        #[source]
        source: KafkaError,
    },
    /// The task that asks was stopped.
    #[error("the task that asks for topics was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}

impl TopicError {
    /// The reason to show.
    #[must_use]
    pub fn reason(&self) -> TroubleReason {
        match self {
            Self::Connection(_) => TroubleReason::ConfigurationInvalid,
            Self::Metadata { source, .. } | Self::Request { source, .. } => reason_of(source),
            Self::Hidden { .. } => TroubleReason::NotAuthorized,
            Self::Denied { .. } => TroubleReason::TopicCreationDenied,
            Self::Missing { .. } | Self::Refused { .. } => TroubleReason::TopicMissing,
            Self::Stopped(_) => TroubleReason::KafkaError,
        }
    }
}

/// Makes sure that each topic exists, creating what is missing with the partitions, replicas and configuration asked for
/// where `create` says so.
///
/// # Errors
/// The first topic that cannot be used, with the reason.
pub async fn ensure_topics(
    connection: &KafkaConnection,
    client_id: &str,
    topics: impl IntoIterator<Item = &Topic>,
    create: bool,
    health: &Arc<Health>,
) -> Result<(), TopicError> {
    let config = client_config(connection, client_id)?;
    let context = || QuietContext {
        health: Arc::clone(health),
        span: tracing::Span::current(),
    };
    // One that polls by itself, so that it tells why no broker answers.
    let asking: ThreadedProducer<QuietContext> = config
        .create_with_context(context())
        .map_err(ConnectionError::Client)?;
    let asking = Arc::new(asking);
    let mut admin = None;
    for topic in topics {
        if exists(&asking, topic).await? {
            continue;
        }
        if !create {
            return Err(TopicError::Missing {
                topic: topic.name.to_string(),
            });
        }
        let admin = match &mut admin {
            Some(admin) => admin,
            none => none.insert(
                config
                    .create_with_context::<_, AdminClient<QuietContext>>(context())
                    .map_err(ConnectionError::Client)?,
            ),
        };
        create_topic(admin, topic).await?;
    }
    Ok(())
}

async fn exists(
    client: &Arc<ThreadedProducer<QuietContext>>,
    topic: &Topic,
) -> Result<bool, TopicError> {
    let name = topic.name.to_string();
    let client = Arc::clone(client);
    let asked = tokio::task::spawn_blocking({
        let name = name.clone();
        move || client.client().fetch_metadata(Some(&name), TIMEOUT)
    });
    let metadata = asked
        .await
        .map_err(TopicError::Stopped)?
        .map_err(|source| TopicError::Metadata {
            topic: name.clone(),
            source,
        })?;
    let found = metadata.topics().iter().find(|found| found.name() == name);
    match found
        .and_then(rdkafka::metadata::MetadataTopic::error)
        .map(RDKafkaErrorCode::from)
    {
        None => Ok(found.is_some()),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(false),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Err(TopicError::Hidden { topic: name }),
        Some(code) => Err(TopicError::Refused { topic: name, code }),
    }
}

async fn create_topic(admin: &AdminClient<QuietContext>, topic: &Topic) -> Result<(), TopicError> {
    let name = topic.name.to_string();
    let mut wanted = NewTopic::new(
        &name,
        topic.partitions.unwrap_or(BROKER_DEFAULT),
        TopicReplication::Fixed(topic.replicas.unwrap_or(BROKER_DEFAULT)),
    );
    for (key, value) in &topic.config {
        wanted = wanted.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let results = admin
        .create_topics([&wanted], &options)
        .await
        .map_err(|source| TopicError::Request {
            topic: name.clone(),
            source,
        })?;
    for result in results {
        match result {
            Ok(_) => tracing::info!(topic = name, "created the topic"),
            // Another instance was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((
                _,
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed,
            )) => return Err(TopicError::Denied { topic: name }),
            Err((_, code)) => return Err(TopicError::Refused { topic: name, code }),
        }
    }
    Ok(())
}

/// The size in bytes that a broker takes for one record of a topic at most; `None` where it does not say.
pub async fn broker_limit(
    connection: &KafkaConnection,
    client_id: &str,
    topic: &str,
    health: &Arc<Health>,
) -> Option<usize> {
    let context = QuietContext {
        health: Arc::clone(health),
        span: tracing::Span::current(),
    };
    let config = client_config(connection, client_id).ok()?;
    let admin: AdminClient<QuietContext> = config.create_with_context(context).ok()?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let resources = admin
        .describe_configs(&[ResourceSpecifier::Topic(topic)], &options)
        .await
        .ok()?;
    let entry = |resource: &rdkafka::admin::ConfigResource| {
        let value = resource.get("max.message.bytes")?.value.as_deref();
        value?.parse().ok()
    };
    resources.iter().flatten().find_map(entry)
}
