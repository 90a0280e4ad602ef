//! A message with what its headers say.

use ordermill_crds::ConsumerParent;
use ordermill_runtime::faults::ProducerFault;
use ordermill_runtime::kafka::dead_letter::text;
use ordermill_runtime::telemetry::{ParentSpan, Telemetry, TraceContext, names};
use rdkafka::message::{Headers, Message as _, OwnedMessage};

/// The fault that a message which does not parse may come from.
pub(crate) const MALFORMED: &str = ProducerFault::Malformed.name();

/// A message that is being handled.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) message: OwnedMessage,
    /// The span of its handling.
    pub(crate) trace: TraceContext,
    /// The span that it is part of.
    pub(crate) parent: Option<ParentSpan>,
    /// The sender's span, where it is not the parent.
    pub(crate) link: Option<TraceContext>,
    /// The fault that was injected before it came here, as its header names it.
    pub(crate) upstream: Option<String>,
}

/// The faults of every mark: a message that was marked twice has two headers.
fn marks(headers: Option<&impl Headers>) -> Option<String> {
    let mut marks = Vec::new();
    for header in headers.into_iter().flat_map(Headers::iter) {
        if header.key == names::HEADER_INJECTED {
            marks.push(String::from_utf8_lossy(header.value.unwrap_or_default()));
        }
    }
    (!marks.is_empty()).then(|| marks.join(","))
}

impl Incoming {
    /// Reads the headers; a trace context that is missing or malformed begins a trace of its own.
    pub(crate) fn new(
        message: OwnedMessage,
        consumer_parent: ConsumerParent,
        telemetry: &Telemetry,
    ) -> Self {
        let header = |name| text(message.headers(), name);
        let sender = header(names::HEADER_TRACEPARENT)
            .and_then(|traceparent| TraceContext::parse(&traceparent).ok());
        let (trace, parent, link) = match (sender, consumer_parent) {
            (Some(sender), ConsumerParent::Parent) => {
                let parent = ParentSpan::Remote(sender.span_id());
                (sender.child(), Some(parent), None)
            }
            (sender, _) => (telemetry.new_trace(), None, sender),
        };
        let upstream = marks(message.headers());
        Self {
            message,
            trace,
            parent,
            link,
            upstream,
        }
    }

    /// Whether it was made not to parse before it came here.
    pub(crate) fn is_malformed_on_purpose(&self) -> bool {
        let label = self.upstream.as_deref().unwrap_or_default();
        label.split(',').any(|name| name == MALFORMED)
    }

    /// The value; empty where it has none.
    pub(crate) fn payload(&self) -> &[u8] {
        self.message.payload().unwrap_or_default()
    }

    /// The key as text, for a person.
    pub(crate) fn key(&self) -> String {
        String::from_utf8_lossy(self.message.key().unwrap_or_default()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    #[test]
    fn every_mark_of_a_message_counts() {
        let none: Option<&OwnedHeaders> = None;
        assert_eq!(marks(none), None);
        let mark = |headers: OwnedHeaders, fault| {
            headers.insert(Header {
                key: names::HEADER_INJECTED,
                value: Some(fault),
            })
        };
        // As the second copy of a doubled event has it.
        let twice = mark(mark(OwnedHeaders::new(), "malformed,late"), "duplicate");
        assert_eq!(
            marks(Some(&twice)).as_deref(),
            Some("malformed,late,duplicate")
        );
    }
}
