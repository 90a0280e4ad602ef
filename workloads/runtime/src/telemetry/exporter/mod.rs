//! Exporting over OTLP, which never holds up the workload: queues are bounded, every attempt is bounded in time, and what
//! cannot be delivered is dropped, counted, and told once.

mod dropped;
mod health;
mod transport;
mod watched;

pub(super) use self::dropped::{Backlog, Dropped, Signal};
pub(super) use self::health::{ExportHealth, NetworkCause};
pub use self::transport::{ExporterError, OtlpTarget};
pub(super) use self::transport::{Exporters, build};
pub(super) use self::watched::{EXPORT_TIMEOUT, ExportWatch, Watched};
