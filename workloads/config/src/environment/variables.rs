//! Every variable, in words.

use crate::DATABASE_URL;

/// Every variable that is read, with what it means; `--help` shows them.
pub const VARIABLES: &[(&str, &str)] = &[
    (
        "KAFKA_BOOTSTRAP_SERVERS",
        "addresses of brokers (or KAFKA_BROKERS); default localhost:9092",
    ),
    (
        "KAFKA_TOPIC",
        "topic of a producer's first type of event, or of a consumer's messages",
    ),
    (
        "KAFKA_TOPIC_REFUNDS",
        "topic of retail refunds; default refunds",
    ),
    (
        "KAFKA_GROUP_ID",
        "group of a consumer; default the handler's own",
    ),
    (
        "INTERVAL_SECONDS",
        "seconds between events or runs, such as 60 or 0.5 (or PRODUCER_SLEEP_SECONDS)",
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
        "API_URL_ORDERS",
        "where a consumer or a worker finds the order API; default http://localhost:5000",
    ),
    (
        "API_URL_STOCKS",
        "where a consumer or a worker finds the stock API; default http://localhost:5001",
    ),
    (
        "PROCESSING_DELAY_SECONDS",
        "artificial delay of each message of a consumer; default 0",
    ),
    (
        "BATCH_SIZE",
        "orders that a worker claims at a time, 1 to 10000; default 100",
    ),
    (
        "MAX_RETRIES",
        "repetitions of a failed order by a worker, 0 to 100; default 0",
    ),
    (
        "LEASE_SECONDS",
        "how long a claimed order stays with one worker; default 30",
    ),
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
