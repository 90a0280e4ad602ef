//! What a workload reports, and where to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Fraction, TelemetryEndpoint};

/// Traces, metrics and logs over OpenTelemetry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// OTLP endpoint, such as `http://otel-collector:4317`. Default: the operator's; without one nothing is exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<TelemetryEndpoint>,
    /// OTLP protocol: Grpc or HttpProtobuf. Default: Grpc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<OtlpProtocol>,
    /// Least level of the lines that are logged: Trace, Debug, Info, Warn or Error; live tunable. Default: Info.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Form of the lines on standard output: Json or Text. Default: Json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Share of the traces that are kept, 0 to 1, live tunable; failures are always kept. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_sampling: Option<Fraction>,
    /// How a consumer's span refers to the producer's: Link or Parent. Default: Parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_parent: Option<ConsumerParent>,
}

/// Declares an enum of plain words with its JSON schema inline.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        // Derived, the schema would carry the type's description in place of the field's.
        $crate::values::inline_schema!(
            $name,
            schemars::json_schema!({"type": "string", "enum": [$(stringify!($variant)),*]})
        );
    };
}
pub(crate) use words;

words! {
    /// The protocol that OTLP is spoken in.
    OtlpProtocol {
        /// OTLP over gRPC, usually port 4317.
        #[default]
        Grpc,
        /// OTLP over HTTP with protocol buffers, usually port 4318.
        HttpProtobuf,
    }
}

words! {
    /// The least severity that is logged.
    LogLevel {
        /// Everything.
        Trace,
        /// What helps to find a fault.
        Debug,
        /// What a person may want to follow.
        #[default]
        Info,
        /// What may need a person.
        Warn,
        /// What failed.
        Error,
    }
}

words! {
    /// The form of a log line.
    LogFormat {
        /// One JSON object a line.
        #[default]
        Json,
        /// Readable text.
        Text,
    }
}

words! {
    /// How a consumer's span refers to the span that sent the message.
    ConsumerParent {
        /// By a link: every message begins a trace of its own.
        Link,
        /// As its child: one trace runs through.
        #[default]
        Parent,
    }
}

impl std::str::FromStr for LogLevel {
    type Err = crate::values::ValueError;

    /// Reads any case, and Python's `WARNING` and `CRITICAL`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" | "warning" => Self::Warn,
            "error" | "critical" => Self::Error,
            _ => {
                let allowed = "use trace, debug, info, warn (or warning) or error";
                return Err(crate::values::ValueError::new(text, "a log level", allowed));
            }
        })
    }
}
