//! A log event as an OpenTelemetry log record.

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::logs::SdkLogger;
use tracing::Level;

use super::record::{FieldValue, Record};

/// Hands `record` to the workload's own logger.
pub(super) fn export(logger: &SdkLogger, record: Record) {
    let mut exported = logger.create_log_record();
    exported.set_timestamp(record.time);
    exported.set_observed_timestamp(record.time);
    exported.set_severity_number(severity(record.level));
    exported.set_severity_text(record.level.as_str());
    exported.set_target(record.target);
    exported.set_body(AnyValue::from(record.fields.message));
    if let Some(trace_id) = record.fields.trace_id {
        let span_id = record.fields.span_id.unwrap_or(SpanId::INVALID);
        exported.set_trace_context(trace_id, span_id, None);
    }
    exported.add_attributes(
        record
            .fields
            .others
            .into_iter()
            .map(|(name, value)| (name, AnyValue::from(value))),
    );
    logger.emit(exported);
}

fn severity(level: Level) -> Severity {
    match level {
        Level::TRACE => Severity::Trace,
        Level::DEBUG => Severity::Debug,
        Level::INFO => Severity::Info,
        Level::WARN => Severity::Warn,
        Level::ERROR => Severity::Error,
    }
}

impl From<FieldValue> for AnyValue {
    fn from(value: FieldValue) -> Self {
        match value {
            FieldValue::Text(text) => Self::from(text),
            FieldValue::Integer(number) => Self::from(number),
            // OTLP knows signed integers only.
            FieldValue::Unsigned(number) => match i64::try_from(number) {
                Ok(number) => Self::from(number),
                Err(_) => Self::from(number.to_string()),
            },
            FieldValue::Number(number) => Self::from(number),
            FieldValue::Boolean(truth) => Self::from(truth),
        }
    }
}
