//! What a workload's telemetry is set up with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use ordermill_crds::OtlpProtocol;
use ordermill_crds::values::{Fraction, TelemetryEndpoint, ValueError};

use super::exporter::OtlpTarget;
use super::names;

/// Standard variable: base URL of the collector.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Standard variable: `grpc` or `http/protobuf`.
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
/// Standard variable: file of trusted certificates.
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
/// Standard variable: `service.name`.
const SERVICE: &str = "OTEL_SERVICE_NAME";
/// Standard variable: further attributes, `key=value,…`, values percent-encoded.
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// Standard variable: milliseconds between two exports of metrics.
const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// Standard variable: `true` exports nothing.
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// Shorter than the standard's minute, so that a chart follows an edit.
const DEFAULT_METRIC_INTERVAL: Duration = Duration::from_secs(10);

/// What a workload's telemetry is set up with.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetrySettings {
    /// Where telemetry goes; without one nothing is exported and nothing counts as dropped.
    pub target: Option<OtlpTarget>,
    /// `service.name` of everything reported.
    pub service_name: String,
    /// Further attributes of the resource: `service.namespace`, `service.version`, `k8s.pod.name` and such. A missing
    /// `service.instance.id` is made up at random.
    pub attributes: BTreeMap<String, String>,
    /// Share of the traces that are sampled at first; [`set_sampling_ratio`](super::Telemetry::set_sampling_ratio)
    /// changes it.
    pub sampling_ratio: Fraction,
    /// Time between two exports of metrics.
    pub metric_interval: Duration,
}

/// Whether the standard variable `OTEL_SDK_DISABLED` says that nothing is exported.
#[must_use]
pub fn is_disabled(variables: &BTreeMap<String, String>) -> bool {
    variables
        .get(DISABLED)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

impl TelemetrySettings {
    /// Settings that export nothing and sample every trace.
    #[must_use]
    pub fn new(service_name: &str) -> Self {
        Self {
            target: None,
            service_name: service_name.to_owned(),
            attributes: BTreeMap::new(),
            sampling_ratio: Fraction::MAXIMUM,
            metric_interval: DEFAULT_METRIC_INTERVAL,
        }
    }

    /// Reads the standard `OTEL_*` variables from `variables`, which the caller took from the environment; empty ones
    /// count as absent. `default_service_name` is used where they name none.
    ///
    /// Headers for the collector (`OTEL_EXPORTER_OTLP_HEADERS`) are read by the exporter itself.
    ///
    /// # Errors
    /// A variable holds what it must not.
    pub fn from_env_map(
        variables: &BTreeMap<String, String>,
        default_service_name: &str,
    ) -> Result<Self, SettingsError> {
        let get = |name: &str| {
            variables
                .get(name)
                .map(|value| value.trim())
                .filter(|v| !v.is_empty())
        };
        let mut settings = Self::new(default_service_name);
        if let Some(list) = get(ATTRIBUTES) {
            settings.attributes = parse_attributes(list)?;
        }
        if let Some(name) = settings.attributes.remove(names::SERVICE_NAME) {
            settings.service_name = name;
        }
        if let Some(name) = get(SERVICE) {
            name.clone_into(&mut settings.service_name);
        }
        if let Some(milliseconds) = get(METRIC_INTERVAL) {
            settings.metric_interval = milliseconds
                .parse()
                .ok()
                .filter(|&milliseconds| milliseconds > 0)
                .map(Duration::from_millis)
                .ok_or_else(|| SettingsError::Interval {
                    value: milliseconds.to_owned(),
                })?;
        }
        let disabled = is_disabled(variables);
        if let Some(endpoint) = get(ENDPOINT).filter(|_| !disabled) {
            settings.target = Some(OtlpTarget {
                endpoint: endpoint
                    .parse::<TelemetryEndpoint>()
                    .map_err(SettingsError::Endpoint)?,
                protocol: get(PROTOCOL).map_or(Ok(OtlpProtocol::Grpc), parse_protocol)?,
                certificate: get(CERTIFICATE).map(PathBuf::from),
            });
        }
        Ok(settings)
    }

    /// The resource that everything of this workload is reported under.
    pub(super) fn resource(&self) -> Resource {
        let own = self
            .attributes
            .iter()
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let instance = KeyValue::new(names::SERVICE_INSTANCE_ID, uuid::Uuid::new_v4().to_string());
        Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attribute(instance)
            .with_attributes(own)
            .with_service_name(self.service_name.clone())
            .build()
    }
}

/// A variable holds what it must not.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a URL.
    #[error("{ENDPOINT} is not usable")]
    Endpoint(#[source] ValueError),
    /// Another protocol than those two.
    #[error("{PROTOCOL} is {value:?}: use grpc or http/protobuf")]
    Protocol {
        /// What it holds.
        value: String,
    },
    /// An entry of the list is not `key=value`, or its value is not percent-encoded UTF-8.
    #[error("{ATTRIBUTES} has the entry {entry:?}: use key=value,… with percent-encoded values")]
    Attributes {
        /// The entry.
        entry: String,
    },
    /// Not a number of milliseconds.
    #[error("{METRIC_INTERVAL} is {value:?}: use a number of milliseconds above 0")]
    Interval {
        /// What it holds.
        value: String,
    },
}

fn parse_protocol(value: &str) -> Result<OtlpProtocol, SettingsError> {
    match value {
        "grpc" => Ok(OtlpProtocol::Grpc),
        "http/protobuf" => Ok(OtlpProtocol::HttpProtobuf),
        _ => Err(SettingsError::Protocol {
            value: value.to_owned(),
        }),
    }
}

fn parse_attributes(list: &str) -> Result<BTreeMap<String, String>, SettingsError> {
    let entries = list
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let refused = || SettingsError::Attributes {
                entry: entry.to_owned(),
            };
            let (key, value) = entry.split_once('=').ok_or_else(refused)?;
            let value = percent_decode(value.trim()).ok_or_else(refused)?;
            match key.trim() {
                "" => Err(refused()),
                key => Ok((key.to_owned(), value)),
            }
        })
        .collect()
}

/// Undoes percent-encoding (RFC 3986, 2.1); none where a `%` is not followed by two hex digits or the bytes are no UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<TelemetrySettings, SettingsError> {
        let variables = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        TelemetrySettings::from_env_map(&variables.collect(), "wood-orders")
    }

    #[test]
    fn nothing_set_exports_nothing() {
        let settings = read(&[(ENDPOINT, ""), ("UNRELATED", "x")]).unwrap();
        assert_eq!(settings, TelemetrySettings::new("wood-orders"));
        let disabled = read(&[(ENDPOINT, "http://collector:4317"), (DISABLED, "TRUE")]).unwrap();
        assert_eq!(disabled.target, None);
    }

    #[test]
    fn the_standard_variables_mean_what_they_mean() {
        let settings = read(&[
            (ENDPOINT, "http://collector:4318"),
            (PROTOCOL, "http/protobuf"),
            (CERTIFICATE, "/etc/ca.pem"),
            (
                ATTRIBUTES,
                "service.name=ignored, team=caf%C3%A9%2C%20bar ,k8s.pod.name=wood-0,",
            ),
            (SERVICE, "wood"),
            (METRIC_INTERVAL, "2500"),
        ])
        .unwrap();
        let target = settings.target.clone().unwrap();
        assert_eq!(target.endpoint.as_str(), "http://collector:4318");
        assert_eq!(target.protocol, OtlpProtocol::HttpProtobuf);
        assert_eq!(target.certificate, Some("/etc/ca.pem".into()));
        assert_eq!(settings.metric_interval, Duration::from_millis(2500));

        let resource = settings.resource();
        let get = |name: &'static str| resource.get(&name.into()).map(|value| value.to_string());
        assert_eq!(get("service.name").as_deref(), Some("wood"));
        assert_eq!(get("team").as_deref(), Some("café, bar"));
        assert_eq!(get("k8s.pod.name").as_deref(), Some("wood-0"));
        assert_eq!(get("telemetry.sdk.language").as_deref(), Some("rust"));
        assert!(get("service.instance.id").is_some());
    }

    #[test]
    fn a_name_among_the_attributes_counts_and_a_given_instance_stays() {
        let settings = read(&[(ATTRIBUTES, "service.name=stock,service.instance.id=7")]).unwrap();
        assert_eq!(settings.service_name, "stock");
        let instance = settings
            .resource()
            .get(&"service.instance.id".into())
            .unwrap();
        assert_eq!(instance.to_string(), "7");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_name() {
        for (variable, value) in [
            (ENDPOINT, "collector:4317"),
            (ATTRIBUTES, "novalue"),
            (ATTRIBUTES, "=x"),
            (ATTRIBUTES, "key=%zz"),
            (ATTRIBUTES, "key=%C3"),
            (METRIC_INTERVAL, "0"),
            (METRIC_INTERVAL, "soon"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable), "{error}");
        }
        let error = read(&[(ENDPOINT, "http://c:1"), (PROTOCOL, "http/json")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "OTEL_EXPORTER_OTLP_PROTOCOL is \"http/json\": use grpc or http/protobuf"
        );
    }
}
