//! Every name that telemetry leaves under: attributes, metrics, spans, headers.
//!
//! What the OpenTelemetry semantic conventions name is taken from the crate generated from them
//! (`opentelemetry-semantic-conventions`, <https://opentelemetry.io/docs/specs/semconv/messaging/kafka/>); the rest is
//! ours and begins with `ordermill`.

/// Attributes of spans, logs and metrics that the semantic conventions name.
pub use opentelemetry_semantic_conventions::attribute::{
    ERROR_TYPE, HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, HTTP_ROUTE,
    MESSAGING_CONSUMER_GROUP_NAME, MESSAGING_DESTINATION_NAME, MESSAGING_DESTINATION_PARTITION_ID,
    MESSAGING_KAFKA_MESSAGE_KEY, MESSAGING_KAFKA_OFFSET, MESSAGING_MESSAGE_BODY_SIZE,
    MESSAGING_MESSAGE_ID, MESSAGING_OPERATION_NAME, MESSAGING_OPERATION_TYPE, MESSAGING_SYSTEM,
    SERVER_ADDRESS, SERVER_PORT, URL_FULL, URL_PATH, URL_SCHEME,
};
/// Metrics that the semantic conventions name.
pub use opentelemetry_semantic_conventions::metric::{
    HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_REQUEST_DURATION, MESSAGING_CLIENT_CONSUMED_MESSAGES,
    MESSAGING_CLIENT_OPERATION_DURATION, MESSAGING_CLIENT_SENT_MESSAGES,
    MESSAGING_PROCESS_DURATION,
};
/// Attributes of the resource, of which every workload has its own.
pub use opentelemetry_semantic_conventions::resource::{
    K8S_NAMESPACE_NAME, K8S_NODE_NAME, K8S_POD_NAME, SERVICE_INSTANCE_ID, SERVICE_NAME,
    SERVICE_NAMESPACE, SERVICE_VERSION,
};

/// Value of [`MESSAGING_SYSTEM`] for Kafka.
pub const MESSAGING_SYSTEM_KAFKA: &str = "kafka";
/// [`MESSAGING_OPERATION_NAME`] and [`MESSAGING_OPERATION_TYPE`] of sending.
pub const OPERATION_SEND: &str = "send";
/// [`MESSAGING_OPERATION_NAME`] of fetching from Kafka.
pub const OPERATION_POLL: &str = "poll";
/// [`MESSAGING_OPERATION_TYPE`] of fetching.
pub const OPERATION_TYPE_RECEIVE: &str = "receive";
/// [`MESSAGING_OPERATION_NAME`] and [`MESSAGING_OPERATION_TYPE`] of handling what was fetched.
pub const OPERATION_PROCESS: &str = "process";
/// [`ERROR_TYPE`] of an error that has no name of its own (the conventions' fallback value).
pub const ERROR_TYPE_OTHER: &str = "_OTHER";

/// Counter of events by [`OUTCOME`], and by [`FAULT`] or [`ERROR_TYPE`]; unit `{event}`.
pub const EVENTS: &str = "ordermill.events";
/// Histogram of how long after its planned time an event was sent; unit `s`.
pub const EVENT_LATENESS: &str = "ordermill.event.lateness";
/// Gauge of the rate the plan asks for at the moment; unit `{event}/s`.
pub const RATE_PLANNED: &str = "ordermill.rate.planned";
/// Counter by [`SIGNAL`] of what could not be exported; unit `{item}`: spans, log records and metric points.
pub const TELEMETRY_DROPPED: &str = "ordermill.telemetry.dropped";

/// Counter of messages that were put on a dead-letter topic; unit `{message}`.
pub const DEAD_LETTERED: &str = "ordermill.messages.dead_lettered";
/// Gauge of the messages of a partition that its group has still to handle; unit `{message}`.
pub const CONSUMER_LAG: &str = "ordermill.consumer.lag";

/// Metric attribute: [`OUTCOME_OK`], [`OUTCOME_INJECTED`] or [`OUTCOME_FAILED`].
pub const OUTCOME: &str = "outcome";
/// The event went as intended.
pub const OUTCOME_OK: &str = "ok";
/// A fault was injected into the event, on purpose.
pub const OUTCOME_INJECTED: &str = "injected";
/// The event failed for real.
pub const OUTCOME_FAILED: &str = "failed";
/// Metric attribute: name of the injected fault.
pub const FAULT: &str = "fault";
/// Metric attribute: `traces`, `metrics` or `logs`.
pub const SIGNAL: &str = "signal";

/// Span and log attribute, a boolean: whether what happened was made to happen on purpose.
pub const INJECTED: &str = "ordermill.injected";
/// Span and log attribute: name of the injected fault.
pub const INJECTED_FAULT: &str = "ordermill.fault";
/// Span and log attribute: the event's number, counted per producer instance.
pub const SEQUENCE: &str = "ordermill.sequence";
/// Span attribute: attempts at handling a message that failed.
pub const FAILED_ATTEMPTS: &str = "ordermill.failed_attempts";
/// Span and log attribute: the producer instance that the sequence belongs to.
pub const INSTANCE: &str = "ordermill.instance";
/// Span and log attribute: the order's id.
pub const ORDER_ID: &str = "ordermill.order.id";
/// Span attribute: how often the order was claimed.
pub const ORDER_ATTEMPT: &str = "ordermill.order.attempt";
/// Span attribute: what became of the order; absent where it was left to its lease.
pub const ORDER_STATUS: &str = "ordermill.order.status";
/// Span attribute: how many orders were claimed.
pub const ORDER_COUNT: &str = "ordermill.order.count";

/// Header (Kafka, HTTP, gRPC metadata): name of the fault that was injected upstream.
pub const HEADER_INJECTED: &str = "ordermill-injected";
/// Header: the event's number, counted per producer instance; decimal.
pub const HEADER_SEQUENCE: &str = "ordermill-sequence";
/// Header: the producer instance that the sequence belongs to.
pub const HEADER_INSTANCE: &str = "ordermill-instance";
/// Header: how many sequence numbers before this one were suppressed on purpose; decimal.
pub const HEADER_SUPPRESSED: &str = "ordermill-suppressed";
/// What the headers that a dead letter has more than its message begin with.
pub const HEADER_DEAD_LETTER_PREFIX: &str = "ordermill-dead-letter-";
/// Header of a dead letter: why it is one, a word of few.
pub const HEADER_DEAD_LETTER_REASON: &str = "ordermill-dead-letter-reason";
/// Header of a dead letter: the last error, in words.
pub const HEADER_DEAD_LETTER_MESSAGE: &str = "ordermill-dead-letter-message";
/// Header of a dead letter: attempts at handling it; decimal.
pub const HEADER_DEAD_LETTER_ATTEMPTS: &str = "ordermill-dead-letter-attempts";
/// Header of a dead letter: the topic that it comes from.
pub const HEADER_DEAD_LETTER_TOPIC: &str = "ordermill-dead-letter-topic";
/// Header of a dead letter: the partition that it comes from; decimal.
pub const HEADER_DEAD_LETTER_PARTITION: &str = "ordermill-dead-letter-partition";
/// Header of a dead letter: its offset there; decimal.
pub const HEADER_DEAD_LETTER_OFFSET: &str = "ordermill-dead-letter-offset";
/// Header of a dead letter: the group that could not handle it.
pub const HEADER_DEAD_LETTER_GROUP: &str = "ordermill-dead-letter-group";
/// Header of a dead letter: when it was given up, RFC 3339.
pub const HEADER_DEAD_LETTER_TIME: &str = "ordermill-dead-letter-time";
/// Header of a dead letter: the trace in which it was given up, as a `traceparent`; that header itself is the message's own.
pub const HEADER_DEAD_LETTER_TRACEPARENT: &str = "ordermill-dead-letter-traceparent";
/// Header of a dead letter: the fault that failed it on purpose, where one did.
pub const HEADER_DEAD_LETTER_INJECTED: &str = "ordermill-dead-letter-injected";
/// Header of a message that was replayed from a dead-letter topic: how often; decimal.
pub const HEADER_REPLAYED: &str = "ordermill-replayed";

/// Header: trace context, <https://www.w3.org/TR/trace-context/#traceparent-header>.
pub const HEADER_TRACEPARENT: &str = "traceparent";
/// Header: vendors' trace state, <https://www.w3.org/TR/trace-context/#tracestate-header>.
pub const HEADER_TRACESTATE: &str = "tracestate";
/// Header: media type of the value, which is the `datacontenttype` of `CloudEvents` in binary mode.
pub const HEADER_CONTENT_TYPE: &str = "content-type";
/// Header: version of the `CloudEvents` specification. The `ce_` names are those of the Kafka binding's binary mode,
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>.
pub const HEADER_CE_SPECVERSION: &str = "ce_specversion";
/// Header: the event's id, unique within its source.
pub const HEADER_CE_ID: &str = "ce_id";
/// Header: what the event comes from; a URI reference.
pub const HEADER_CE_SOURCE: &str = "ce_source";
/// Header: the event's type.
pub const HEADER_CE_TYPE: &str = "ce_type";
/// Header: when the event happened; RFC 3339.
pub const HEADER_CE_TIME: &str = "ce_time";

/// Name of the instrumentation scope of everything this crate reports.
pub const SCOPE: &str = "ordermill";

/// Name of a span that sends to `topic`: `{operation} {destination}`, as the conventions have it.
#[must_use]
pub fn send_span(topic: &str) -> String {
    format!("{OPERATION_SEND} {topic}")
}

/// Name of a span that handles a message of `topic`.
#[must_use]
pub fn process_span(topic: &str) -> String {
    format!("{OPERATION_PROCESS} {topic}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conventions_still_have_the_names_that_dashboards_use() {
        assert_eq!(MESSAGING_SYSTEM, "messaging.system");
        assert_eq!(MESSAGING_OPERATION_NAME, "messaging.operation.name");
        assert_eq!(MESSAGING_OPERATION_TYPE, "messaging.operation.type");
        assert_eq!(MESSAGING_DESTINATION_NAME, "messaging.destination.name");
        assert_eq!(
            MESSAGING_DESTINATION_PARTITION_ID,
            "messaging.destination.partition.id"
        );
        assert_eq!(MESSAGING_KAFKA_MESSAGE_KEY, "messaging.kafka.message.key");
        assert_eq!(MESSAGING_KAFKA_OFFSET, "messaging.kafka.offset");
        assert_eq!(
            MESSAGING_CLIENT_SENT_MESSAGES,
            "messaging.client.sent.messages"
        );
        assert_eq!(
            MESSAGING_CLIENT_CONSUMED_MESSAGES,
            "messaging.client.consumed.messages"
        );
        assert_eq!(
            MESSAGING_CLIENT_OPERATION_DURATION,
            "messaging.client.operation.duration"
        );
        assert_eq!(MESSAGING_PROCESS_DURATION, "messaging.process.duration");
        assert_eq!(send_span("orders"), "send orders");
    }
}
