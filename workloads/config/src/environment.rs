//! A workload by hand: the environment variables of the original services, with their names and defaults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ordermill_crds::values::{Interval, TopicName};
use ordermill_crds::{
    Arrival, CommonSpec, LogLevel, OrderProducerSpec, ProducerModel, ProducerTopics,
    RetailSaleOptions, SaslMechanism, Telemetry, Topic,
};

use crate::{
    Documents, KafkaConnection, Placement, ResourceReference, SaslFiles, TelemetrySettings,
    TlsFiles, producer_documents,
};

/// Every variable that is read, with what it means; `--help` shows them.
pub const VARIABLES: &[(&str, &str)] = &[
    (
        "KAFKA_BOOTSTRAP_SERVERS",
        "addresses of brokers (or KAFKA_BROKERS); default localhost:9092",
    ),
    ("KAFKA_TOPIC", "topic of the model's first type of event"),
    (
        "KAFKA_TOPIC_REFUNDS",
        "topic of retail refunds; default refunds",
    ),
    (
        "INTERVAL_SECONDS",
        "seconds between events, such as 60 or 0.5 (or PRODUCER_SLEEP_SECONDS)",
    ),
    (
        "RATE",
        "events per second instead of INTERVAL_SECONDS; 0 is silent",
    ),
    ("ARRIVAL", "Constant or Poisson; default Constant"),
    (
        "NUM_EVENTS",
        "number of events to send; default without end",
    ),
    (
        "RUN_ID",
        "with NUM_EVENTS: a later start of the same run goes on where it was; default a new run each start",
    ),
    ("ERROR_RATE", "share of injected errors, 0 to 1"),
    (
        "REFUND_PROBABILITY",
        "share of sales that are refunded, 0 to 1; default 0.1",
    ),
    ("SEED", "makes every field but timestamps repeatable"),
    ("KEY_SKEW", "Zipf exponent of the keys, 0 to 5; default 0"),
    ("PAYLOAD_BYTES", "pads payloads to this size"),
    (
        "LOG_LEVEL",
        "trace, debug, info, warning or error; default info",
    ),
    ("LOG_FORMAT", "Json or Text; default Text"),
    (
        "OTEL_SERVICE_NAME",
        "service name in telemetry; default the service's own",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "where telemetry goes; default nowhere",
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "grpc or http/protobuf; default grpc",
    ),
    (
        "TRACE_SAMPLING",
        "share of the traces that are kept, 0 to 1; default 1",
    ),
    ("KAFKA_TLS", "true for TLS with the system's authorities"),
    ("KAFKA_TLS_CA_FILE", "PEM file with certificate authorities"),
    (
        "KAFKA_TLS_CERTIFICATE_FILE",
        "PEM file with the client's certificate",
    ),
    (
        "KAFKA_TLS_KEY_FILE",
        "PEM file with the client's private key",
    ),
    (
        "KAFKA_SASL_MECHANISM",
        "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    ),
    ("KAFKA_SASL_USERNAME_FILE", "file with the user name"),
    ("KAFKA_SASL_PASSWORD_FILE", "file with the password"),
];

/// The variables of this process. What is no Unicode in one is replaced: another program's variable does no harm, and a wrong
/// value of ours is told by its name.
#[must_use]
pub fn process_variables() -> BTreeMap<String, String> {
    let text = |raw: OsString| raw.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentError {
    /// The variable.
    pub variable: &'static str,
    /// What it holds.
    pub found: String,
    /// What would be allowed.
    pub allowed: String,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variable,
            found,
            allowed,
        } = self;
        write!(formatter, "{variable}={found:?} cannot be used: {allowed}")
    }
}

/// Everything that is wrong with the variables, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentErrors(pub Vec<EnvironmentError>);

impl fmt::Display for EnvironmentErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            error.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for EnvironmentErrors {}

/// The variables, and what was found wrong so far.
struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
    errors: Vec<EnvironmentError>,
}

impl Reader<'_> {
    /// The first of the names that is set and not empty.
    fn text(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| {
            let value = self.variables.get(*name)?.trim();
            (!value.is_empty()).then(|| (*name, value.to_owned()))
        })
    }

    fn refuse(&mut self, variable: &'static str, found: String, allowed: impl Into<String>) {
        let allowed = allowed.into();
        self.errors.push(EnvironmentError {
            variable,
            found,
            allowed,
        });
    }

    fn read<T>(
        &mut self,
        names: &[&'static str],
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (name, found) = self.text(names)?;
        match parse(&found) {
            Ok(value) => Some(value),
            Err(allowed) => {
                self.refuse(name, found, allowed);
                None
            }
        }
    }

    fn value<T: FromStr<Err: fmt::Display>>(&mut self, names: &[&'static str]) -> Option<T> {
        self.read(names, |text| {
            text.parse::<T>().map_err(|error| error.to_string())
        })
    }

    fn integer(&mut self, name: &'static str, minimum: i64, maximum: i64) -> Option<i64> {
        self.read(&[name], |text| {
            let value = text.parse::<i64>().ok();
            value
                .filter(|value| (minimum..=maximum).contains(value))
                .ok_or_else(|| format!("must be a whole number between {minimum} and {maximum}"))
        })
    }

    fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.read(&[name], |text| {
            let chosen = choices
                .iter()
                .find(|(choice, _)| choice.eq_ignore_ascii_case(text));
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                format!("must be one of {}", names.join(", "))
            })
        })
    }

    fn topic(&mut self, name: &'static str) -> Option<Topic> {
        self.value::<TopicName>(&[name]).map(Topic::named)
    }
}

/// Derives both documents of a producer from environment variables.
///
/// # Errors
/// Everything that is wrong with them, all at once.
pub fn documents_from_environment(
    model: ProducerModel,
    variables: &BTreeMap<String, String>,
) -> Result<Documents, EnvironmentErrors> {
    let mut reader = Reader {
        variables,
        errors: Vec::new(),
    };
    let kafka = kafka_connection(&mut reader);
    let spec = producer_spec(model, &mut reader);
    let telemetry = telemetry_settings(model, &mut reader);
    match kafka {
        Some(kafka) if reader.errors.is_empty() => {
            let resource = ResourceReference {
                kind: "OrderProducer".to_owned(),
                namespace: "default".to_owned(),
                name: telemetry.service_name.clone(),
                uid: reader
                    .text(&["RUN_ID"])
                    .map(|(_, id)| id)
                    .unwrap_or_default(),
            };
            let placement = Placement {
                resource,
                generation: 1,
                kafka,
                telemetry,
                create_topics: true,
            };
            Ok(producer_documents(&spec, placement))
        }
        _ => Err(EnvironmentErrors(reader.errors)),
    }
}

/// The name that the original service had.
const fn service_name(model: ProducerModel) -> &'static str {
    match model {
        ProducerModel::WoodOrder => "customer",
        ProducerModel::WoodStock => "supplier",
        ProducerModel::RetailSale => "retail-producer",
        ProducerModel::FoodOrder => "food-producer",
        ProducerModel::DrinkOrder => "drink-producer",
    }
}

fn producer_spec(model: ProducerModel, reader: &mut Reader<'_>) -> OrderProducerSpec {
    let interval = reader.read(&["INTERVAL_SECONDS", "PRODUCER_SLEEP_SECONDS"], |text| {
        let seconds = text.parse::<f64>().ok();
        let interval = seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .and_then(|interval| Interval::try_from(interval).ok());
        interval.ok_or_else(|| "must be seconds between 0.001 and 31536000".to_owned())
    });
    let rate = reader.value(&["RATE"]);
    if let (Some(_), Some((name, found))) = (
        interval,
        rate.and_then(|_: ordermill_crds::values::Rate| reader.text(&["RATE"])),
    ) {
        reader.refuse(name, found, "set RATE or INTERVAL_SECONDS, not both");
    }
    let key_skew = reader.value(&["KEY_SKEW"]);
    if key_skew.is_some() && model == ProducerModel::FoodOrder {
        let found = reader
            .text(&["KEY_SKEW"])
            .map(|(_, text)| text)
            .unwrap_or_default();
        reader.refuse(
            "KEY_SKEW",
            found,
            "does not fit food orders: their key is the order's own id",
        );
    }
    OrderProducerSpec {
        model,
        interval,
        rate,
        stages: None,
        arrival: reader.choice(
            "ARRIVAL",
            &[
                ("Constant", Arrival::Constant),
                ("Poisson", Arrival::Poisson),
            ],
        ),
        max_events: reader.integer("NUM_EVENTS", 1, 1_000_000_000_000),
        seed: reader.integer("SEED", 0, 9_007_199_254_740_991),
        key_skew,
        payload_bytes: reader
            .integer("PAYLOAD_BYTES", 0, 900_000)
            .and_then(|bytes| i32::try_from(bytes).ok()),
        topics: Some(topics(model, reader)),
        retail_sale: (model == ProducerModel::RetailSale).then(|| RetailSaleOptions {
            refund_probability: reader.value(&["REFUND_PROBABILITY"]),
        }),
        drink_order: None,
        faults: None,
        common: CommonSpec {
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
        },
    }
}

fn topics(model: ProducerModel, reader: &mut Reader<'_>) -> ProducerTopics {
    let first = reader.topic("KAFKA_TOPIC");
    let mut topics = ProducerTopics::default();
    match model {
        ProducerModel::WoodOrder => topics.orders = first,
        ProducerModel::WoodStock => topics.stocks = first,
        ProducerModel::FoodOrder => topics.order_events = first,
        ProducerModel::DrinkOrder => topics.order_placed = first,
        ProducerModel::RetailSale => {
            topics.transactions = first;
            topics.refunds = reader.topic("KAFKA_TOPIC_REFUNDS");
        }
    }
    topics
}

fn telemetry_settings(model: ProducerModel, reader: &mut Reader<'_>) -> TelemetrySettings {
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
        service_name: service_name.unwrap_or_else(|| service_name_of(model)),
        log_format: reader
            .choice("LOG_FORMAT", &formats)
            .unwrap_or(LogFormat::Text),
    }
}

fn service_name_of(model: ProducerModel) -> String {
    service_name(model).to_owned()
}

fn kafka_connection(reader: &mut Reader<'_>) -> Option<KafkaConnection> {
    let names = ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"];
    let given = reader.text(&names).is_some();
    let bootstrap_servers = if given {
        reader.value(&names)?
    } else {
        "localhost:9092".parse().ok()?
    };
    let (tls, sasl) = kafka_security(reader);
    Some(KafkaConnection {
        tls,
        sasl,
        ..KafkaConnection::plain(bootstrap_servers)
    })
}

fn kafka_security(reader: &mut Reader<'_>) -> (Option<TlsFiles>, Option<SaslFiles>) {
    let switch = reader
        .choice(
            "KAFKA_TLS",
            &[("true", true), ("false", false), ("1", true), ("0", false)],
        )
        .unwrap_or(false);
    let mut file = |name| reader.value::<std::path::PathBuf>(&[name]);
    let files = TlsFiles {
        certificate_authority: file("KAFKA_TLS_CA_FILE"),
        certificate: file("KAFKA_TLS_CERTIFICATE_FILE"),
        private_key: file("KAFKA_TLS_KEY_FILE"),
    };
    if files.certificate.is_some() != files.private_key.is_some() {
        let allowed = "a certificate and its private key go together";
        let found = reader.text(&["KAFKA_TLS_KEY_FILE"]).map(|(_, found)| found);
        reader.refuse("KAFKA_TLS_KEY_FILE", found.unwrap_or_default(), allowed);
    }
    let tls = (switch || files != TlsFiles::default()).then_some(files);
    let mechanisms = [
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
    ]
    .map(|mechanism| (mechanism.as_str(), mechanism));
    let sasl = reader
        .choice("KAFKA_SASL_MECHANISM", &mechanisms)
        .and_then(|mechanism| {
            let mut file = |name: &'static str| {
                let file = reader.value::<std::path::PathBuf>(&[name]);
                if file.is_none() {
                    reader.refuse(name, String::new(), "KAFKA_SASL_MECHANISM needs this file");
                }
                file
            };
            let (username, password) = (
                file("KAFKA_SASL_USERNAME_FILE"),
                file("KAFKA_SASL_PASSWORD_FILE"),
            );
            Some(SaslFiles {
                mechanism,
                username: username?,
                password: password?,
            })
        });
    (tls, sasl)
}

/// The security part of a connection from environment variables, for a Kafka that is named otherwise.
///
/// # Errors
/// Everything that is wrong with the variables, all at once.
pub fn kafka_from_environment(
    bootstrap_servers: ordermill_crds::values::BootstrapServers,
    variables: &BTreeMap<String, String>,
) -> Result<KafkaConnection, EnvironmentErrors> {
    let mut reader = Reader {
        variables,
        errors: Vec::new(),
    };
    let (tls, sasl) = kafka_security(&mut reader);
    if reader.errors.is_empty() {
        Ok(KafkaConnection {
            tls,
            sasl,
            ..KafkaConnection::plain(bootstrap_servers)
        })
    } else {
        Err(EnvironmentErrors(reader.errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pacing, WorkloadSettings};

    fn read(
        model: ProducerModel,
        variables: &[(&str, &str)],
    ) -> Result<Documents, EnvironmentErrors> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        documents_from_environment(model, &variables)
    }

    fn topic_names(documents: &Documents) -> Vec<String> {
        let WorkloadSettings::Producer(producer) = &documents.workload.workload;
        producer
            .topics
            .values()
            .map(|topic| topic.name.to_string())
            .collect()
    }

    #[test]
    fn the_originals_defaults_hold_without_any_variable() {
        let documents = read(ProducerModel::WoodOrder, &[]).unwrap();
        assert_eq!(documents.workload.resource.name, "customer");
        assert_eq!(topic_names(&documents), ["orders"]);
        let tuning = documents.tuning.tuning;
        assert_eq!(tuning.error_rate, "0.1".parse().unwrap());
        let pacing = tuning.producer.unwrap().pacing;
        assert_eq!(pacing, Pacing::interval(Duration::from_mins(1)));
    }

    #[test]
    fn the_originals_names_are_read() {
        let documents = read(
            ProducerModel::RetailSale,
            &[
                ("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092"),
                ("KAFKA_TOPIC", "sales"),
                ("KAFKA_TOPIC_REFUNDS", "returns"),
                ("PRODUCER_SLEEP_SECONDS", "1.5"),
                ("REFUND_PROBABILITY", "0.25"),
                ("LOG_LEVEL", "WARNING"),
            ],
        )
        .unwrap();
        assert_eq!(topic_names(&documents), ["sales", "returns"]);
        let tuning = documents.tuning.tuning;
        assert_eq!(tuning.log_level, LogLevel::Warn);
        let pacing = tuning.producer.unwrap().pacing;
        assert_eq!(pacing, Pacing::interval(Duration::from_millis(1500)));
        let kafka = read(
            ProducerModel::DrinkOrder,
            &[("KAFKA_BROKERS", "broker:29092")],
        )
        .unwrap();
        let kafka = kafka.workload.kafka.unwrap();
        assert_eq!(kafka.bootstrap_servers.as_str(), "broker:29092");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let errors = read(
            ProducerModel::FoodOrder,
            &[
                ("RUN_ID", "with NUM_EVENTS: a later start of the same run goes on where it was; default a new run each start"),
    ("ERROR_RATE", "1.5"),
                ("NUM_EVENTS", "0"),
                ("INTERVAL_SECONDS", "0"),
                ("RATE", "fast"),
                ("LOG_LEVEL", "loud"),
                ("KAFKA_BOOTSTRAP_SERVERS", "nowhere"),
                ("KAFKA_SASL_MECHANISM", "PLAIN"),
                ("KEY_SKEW", "1"),
            ],
        )
        .unwrap_err();
        let named: Vec<_> = errors.0.iter().map(|error| error.variable).collect();
        for name in [
            "ERROR_RATE",
            "NUM_EVENTS",
            "INTERVAL_SECONDS",
            "RATE",
            "LOG_LEVEL",
            "KEY_SKEW",
            "KAFKA_BOOTSTRAP_SERVERS",
        ] {
            assert!(named.contains(&name), "{name} is missing in {named:?}");
        }
        assert!(
            errors.to_string().contains("between 0.0 and 1.0"),
            "{errors}"
        );
    }

    #[test]
    fn pace_is_given_once() {
        let errors = read(
            ProducerModel::FoodOrder,
            &[("RATE", "5"), ("INTERVAL_SECONDS", "1")],
        );
        assert_eq!(errors.unwrap_err().0[0].variable, "RATE");
    }

    #[test]
    fn security_comes_from_files() {
        let documents = read(
            ProducerModel::WoodOrder,
            &[
                ("KAFKA_TLS_CA_FILE", "/tls/ca.crt"),
                ("KAFKA_SASL_MECHANISM", "scram-sha-512"),
                ("KAFKA_SASL_USERNAME_FILE", "/sasl/username"),
                ("KAFKA_SASL_PASSWORD_FILE", "/sasl/password"),
            ],
        )
        .unwrap();
        let kafka = documents.workload.kafka.unwrap();
        assert_eq!(kafka.files().count(), 3);
        assert_eq!(kafka.sasl.unwrap().mechanism, SaslMechanism::ScramSha512);
        let alone = read(
            ProducerModel::WoodOrder,
            &[("KAFKA_TLS_CERTIFICATE_FILE", "/c")],
        );
        assert_eq!(alone.unwrap_err().0[0].variable, "KAFKA_TLS_KEY_FILE");
    }
}
