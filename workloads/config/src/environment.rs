//! A workload by hand: the environment variables of the original services, with their names and defaults.

mod backend;
mod consumer;
mod kafka;
mod producer;
mod reader;
mod variables;
mod worker;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use ordermill_crds::values::{BackendReference, Interval};
use ordermill_crds::{CommonSpec, LogLevel, Telemetry};

pub use self::backend::backend_from_environment;
pub use self::consumer::consumer_from_environment;
pub use self::kafka::kafka_from_environment;
pub use self::producer::producer_from_environment;
use self::reader::Reader;
pub use self::reader::{EnvironmentError, EnvironmentErrors};
pub use self::variables::VARIABLES;
pub use self::worker::worker_from_environment;
use crate::{BackendRole, Placement, ResourceReference, TelemetrySettings};

/// The variables of this process. What is no Unicode in one is replaced: another program's variable does no harm, and a wrong
/// value of ours is told by its name.
#[must_use]
pub fn process_variables() -> BTreeMap<String, String> {
    let text = |raw: OsString| raw.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// Where a workload by hand runs: a resource of its service's name, without Kafka.
fn placement(kind: &str, telemetry: TelemetrySettings) -> Placement {
    Placement {
        resource: ResourceReference {
            kind: kind.to_owned(),
            namespace: "default".to_owned(),
            name: telemetry.service_name.clone(),
            uid: String::new(),
        },
        generation: 1,
        revision: 0,
        kafka: None,
        telemetry,
        create_topics: true,
        backends: BTreeMap::new(),
    }
}

/// What every kind of workload has.
fn common_spec(reader: &mut Reader<'_>) -> CommonSpec {
    CommonSpec {
        error_rate: reader.value(&["ERROR_RATE"]),
        replicas: 1,
        paused: None,
        expires_after: None,
        kafka: None,
        telemetry: Some(Telemetry {
            log_level: reader.value::<LogLevel>(&["LOG_LEVEL"]),
            trace_sampling: reader.value(&["TRACE_SAMPLING"]),
            ..Telemetry::default()
        }),
        workload: None,
    }
}

/// Seconds between units of work.
fn interval(reader: &mut Reader<'_>, names: &[&'static str]) -> Option<Interval> {
    reader.read(names, |text| {
        let interval = seconds(text).and_then(|interval| Interval::try_from(interval).ok());
        interval.ok_or_else(|| "must be seconds between 0.001 and 31536000".to_owned())
    })
}

/// A number of seconds, whole or not.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// The URL of an API of the wood orders: as given, or where it is when it runs by hand on the same machine.
fn api_url(reader: &mut Reader<'_>, role: BackendRole) -> Option<String> {
    let (name, default) = match role {
        BackendRole::Order => ("API_URL_ORDERS", "http://localhost:5000"),
        BackendRole::Stock => ("API_URL_STOCKS", "http://localhost:5001"),
        BackendRole::Customer => return None,
    };
    let given = reader.read(&[name], |text| {
        let reference = text.parse::<BackendReference>().ok();
        let url = reference.and_then(|reference| reference.url().map(str::to_owned));
        url.ok_or_else(|| "must be an http:// or https:// URL".to_owned())
    });
    Some(given.unwrap_or_else(|| default.to_owned()))
}

/// The URLs of these APIs.
fn api_urls(
    reader: &mut Reader<'_>,
    roles: impl IntoIterator<Item = BackendRole>,
) -> BTreeMap<BackendRole, String> {
    let url = |role| Some((role, api_url(reader, role)?));
    roles.into_iter().filter_map(url).collect()
}

fn telemetry_settings(default_name: &str, reader: &mut Reader<'_>) -> TelemetrySettings {
    use ordermill_crds::{LogFormat, OtlpProtocol};
    let protocols = [
        ("grpc", OtlpProtocol::Grpc),
        ("http/protobuf", OtlpProtocol::HttpProtobuf),
    ];
    let formats = [("Json", LogFormat::Json), ("Text", LogFormat::Text)];
    let service_name = reader.text(&["OTEL_SERVICE_NAME"]).map(|(_, name)| name);
    TelemetrySettings {
        endpoint: reader.value(&["OTEL_EXPORTER_OTLP_ENDPOINT"]),
        protocol: reader
            .choice("OTEL_EXPORTER_OTLP_PROTOCOL", &protocols)
            .unwrap_or_default(),
        service_name: service_name.unwrap_or_else(|| default_name.to_owned()),
        log_format: reader
            .choice("LOG_FORMAT", &formats)
            .unwrap_or(LogFormat::Text),
    }
}

#[cfg(test)]
mod tests;
