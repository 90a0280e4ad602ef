//! A workload by hand: the environment variables of the original services, with their names and defaults.

mod kafka;
mod reader;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ordermill_crds::values::Interval;
use ordermill_crds::{
    Arrival, BackendApp, BackendSpec, CommonSpec, LogLevel, OrderProducerSpec, ProducerModel,
    ProducerTopics, RetailSaleOptions, Telemetry,
};

use self::kafka::kafka_connection;
pub use self::kafka::kafka_from_environment;
use self::reader::Reader;
pub use self::reader::{EnvironmentError, EnvironmentErrors};
use crate::{
    DATABASE_URL, Documents, Placement, ResourceReference, StorageSettings, TelemetrySettings,
    WorkloadSettings, backend_documents, producer_documents,
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
        "OTEL_RESOURCE_ATTRIBUTES",
        "more attributes of the telemetry's resource, key=value separated by commas",
    ),
    (
        "OTEL_METRIC_EXPORT_INTERVAL",
        "milliseconds between two exports of metrics; default 10000",
    ),
    (
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "PEM file with the authorities of the telemetry endpoint",
    ),
    ("OTEL_SDK_DISABLED", "true exports nothing"),
    (
        DATABASE_URL,
        "database of a backend: postgres://… or sqlite://…; default a file in this folder",
    ),
    (
        "PORT",
        "port of a backend's API, 0 for any free one; default the app's own",
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

/// Derives both documents of a producer from environment variables.
///
/// # Errors
/// Everything that is wrong with them, all at once.
pub fn producer_from_environment(
    model: ProducerModel,
    variables: &BTreeMap<String, String>,
) -> Result<Documents, EnvironmentErrors> {
    let mut reader = Reader::new(variables);
    let kafka = kafka_connection(&mut reader);
    let spec = producer_spec(model, &mut reader);
    let telemetry = telemetry_settings(service_name(model), &mut reader);
    match kafka {
        Some(kafka) if reader.errors.is_empty() => {
            let mut placement = placement("OrderProducer", telemetry);
            placement.kafka = Some(kafka);
            let run = reader.text(&["RUN_ID"]);
            placement.resource.uid = run.map(|(_, id)| id).unwrap_or_default();
            Ok(producer_documents(&spec, placement))
        }
        _ => Err(EnvironmentErrors(reader.errors)),
    }
}

/// Derives both documents of a backend from environment variables. Without `DATABASE_URL`, its data is in the folder that it
/// is started in.
///
/// # Errors
/// Everything that is wrong with them, all at once.
pub fn backend_from_environment(
    app: BackendApp,
    variables: &BTreeMap<String, String>,
) -> Result<Documents, EnvironmentErrors> {
    let mut reader = Reader::new(variables);
    let port = reader.integer("PORT", 0, 65_535);
    let spec = BackendSpec {
        app,
        port: port.and_then(|port| i32::try_from(port).ok()),
        storage: None,
        database: None,
        cache: None,
        faults: None,
        common: common_spec(&mut reader),
    };
    let name = match app {
        BackendApp::Order => "order",
        BackendApp::Stock => "stock",
        BackendApp::Customer => "customer",
    };
    let telemetry = telemetry_settings(name, &mut reader);
    if !reader.errors.is_empty() {
        return Err(EnvironmentErrors(reader.errors));
    }
    let mut documents = backend_documents(&spec, placement("Backend", telemetry));
    if let WorkloadSettings::Backend(settings) = &mut documents.workload.workload {
        settings.storage = Some(StorageSettings {
            folder: PathBuf::from("."),
            persistent: true,
        });
    }
    Ok(documents)
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
        common: common_spec(reader),
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
