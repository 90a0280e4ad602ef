//! An event as data, and as a line of JSON or text.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::trace::{SpanId, TraceId};
use ordermill_crds::LogFormat;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use ordermill_config::full_error;

/// Keys of a JSON line that an event's own field must not repeat.
const RESERVED: [&str; 8] = [
    "timestamp",
    "level",
    "message",
    "target",
    "kind",
    "name",
    "trace_id",
    "span_id",
];

/// One event with everything its line and its exported record say.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) target: &'static str,
    /// Kind and name.
    pub(super) workload: Option<(Arc<str>, Arc<str>)>,
    pub(super) fields: Fields,
}

/// What an event says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) others: Vec<(&'static str, FieldValue)>,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum FieldValue {
    Text(String),
    Integer(i64),
    Unsigned(u64),
    Number(f64),
    Boolean(bool),
}

impl Record {
    pub(super) fn new(event: &Event<'_>, workload: Option<(Arc<str>, Arc<str>)>) -> Self {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (level, target) = (*metadata.level(), metadata.target());
        Self {
            time: SystemTime::now(),
            level,
            target,
            workload,
            fields,
        }
    }

    /// The line, without a line end.
    pub(super) fn line(&self, format: LogFormat) -> String {
        match format {
            // Serializing a map with text keys to memory cannot fail.
            LogFormat::Json => serde_json::to_string(self).unwrap_or_default(),
            LogFormat::Text => self.to_string(),
        }
    }

    fn timestamp(&self) -> String {
        // A clock outside of years -9999 to 9999 is not worth a lost line.
        let time = Timestamp::try_from(self.time).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{time:.3}")
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("timestamp", &self.timestamp())?;
        line.serialize_entry("level", self.level.as_str())?;
        line.serialize_entry("message", &self.fields.message)?;
        line.serialize_entry("target", self.target)?;
        if let Some((kind, name)) = &self.workload {
            line.serialize_entry("kind", &**kind)?;
            line.serialize_entry("name", &**name)?;
        }
        for (name, value) in &self.fields.others {
            if RESERVED.contains(name) {
                line.serialize_entry(&format!("field.{name}"), value)?;
            } else {
                line.serialize_entry(name, value)?;
            }
        }
        if let Some(trace_id) = self.fields.trace_id {
            line.serialize_entry("trace_id", &trace_id.to_string())?;
        }
        if let Some(span_id) = self.fields.span_id {
            line.serialize_entry("span_id", &span_id.to_string())?;
        }
        line.end()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, line: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(line, "{} {:>5} ", self.timestamp(), self.level)?;
        match &self.workload {
            Some((kind, name)) => write!(line, "{kind}/{name}: ")?,
            None => write!(line, "{}: ", self.target)?,
        }
        write_on_one_line(line, &self.fields.message)?;
        for (name, value) in &self.fields.others {
            write!(line, " {name}={value}")?;
        }
        if let Some(trace_id) = self.fields.trace_id {
            write!(line, " trace_id={trace_id}")?;
        }
        if let Some(span_id) = self.fields.span_id {
            write!(line, " span_id={span_id}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if text.is_empty() || text.contains([' ', '"', '=', '\n', '\r']) => {
                write!(formatter, "{text:?}")
            }
            Self::Text(text) => formatter.write_str(text),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Unsigned(number) => write!(formatter, "{number}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Boolean(truth) => write!(formatter, "{truth}"),
        }
    }
}

/// A message may hold what others sent us; it must not be able to forge a line.
fn write_on_one_line(line: &mut fmt::Formatter<'_>, message: &str) -> fmt::Result {
    message.chars().try_for_each(|character| {
        if character.is_control() {
            write!(line, "{}", character.escape_default())
        } else {
            line.write_char(character)
        }
    })
}

impl Fields {
    fn put_text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "trace_id" if self.take_trace_id(&text) => {}
            "span_id" if self.take_span_id(&text) => {}
            name => self.others.push((name, FieldValue::Text(text))),
        }
    }

    fn take_trace_id(&mut self, text: &str) -> bool {
        self.trace_id = TraceId::from_hex(text).ok();
        self.trace_id.is_some()
    }

    fn take_span_id(&mut self, text: &str) -> bool {
        self.span_id = SpanId::from_hex(text).ok();
        self.span_id.is_some()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_text(field, full_error(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), FieldValue::Integer(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others
            .push((field.name(), FieldValue::Unsigned(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.push((field.name(), FieldValue::Number(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), FieldValue::Boolean(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            time: SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_123),
            level: Level::WARN,
            target: "ordermill_producer::send",
            workload: Some(("OrderProducer".into(), "wood".into())),
            fields: Fields {
                message: "not sent".to_owned(),
                trace_id: Some(TraceId::from(1)),
                span_id: Some(SpanId::from(2)),
                others: vec![
                    ("attempt", FieldValue::Integer(-3)),
                    ("name", FieldValue::Text("a \"name\" of its own".to_owned())),
                    ("ordermill.injected", FieldValue::Boolean(true)),
                ],
            },
        }
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        assert_eq!(
            record().line(LogFormat::Json),
            concat!(
                r#"{"timestamp":"2023-11-14T22:13:20.123Z","level":"WARN","message":"not sent","#,
                r#""target":"ordermill_producer::send","kind":"OrderProducer","name":"wood","#,
                r#""attempt":-3,"field.name":"a \"name\" of its own","ordermill.injected":true,"#,
                r#""trace_id":"00000000000000000000000000000001","span_id":"0000000000000002"}"#,
            )
        );
    }

    #[test]
    fn a_text_line_is_readable() {
        assert_eq!(
            record().line(LogFormat::Text),
            "2023-11-14T22:13:20.123Z  WARN OrderProducer/wood: not sent attempt=-3 \
             name=\"a \\\"name\\\" of its own\" ordermill.injected=true \
             trace_id=00000000000000000000000000000001 span_id=0000000000000002"
        );
    }

    #[test]
    fn nothing_that_is_logged_can_begin_a_line() {
        let mut forged = record();
        forged.fields.message = "one\ntwo\u{1b}[2J".to_owned();
        forged.fields.others = vec![("key", FieldValue::Text("a\nb".to_owned()))];
        for format in [LogFormat::Json, LogFormat::Text] {
            let line = forged.line(format);
            assert!(!line.contains(char::is_control), "{line}");
        }
    }
}
