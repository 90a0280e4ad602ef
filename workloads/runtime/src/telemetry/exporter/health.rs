//! Whether the collector takes what we send: said once when it stops, once when it starts again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Signal;
use crate::telemetry::log::WorkloadLog;

/// Watches the exports of one workload to one endpoint.
#[derive(Debug)]
pub(in super::super) struct ExportHealth {
    endpoint: String,
    log: WorkloadLog,
    network_cause: Arc<NetworkCause>,
    /// After so long without a failure, a signal that failed and has had nothing to send since is forgotten.
    memory: Duration,
    outage: Mutex<Option<Outage>>,
}

/// What is told and has not ended.
#[derive(Debug, Clone, Copy)]
struct Outage {
    /// One bit for each signal whose last export failed.
    failing: u8,
    last_failure: Instant,
}

impl ExportHealth {
    pub(in super::super) fn new(
        endpoint: &str,
        log: WorkloadLog,
        network_cause: Arc<NetworkCause>,
        memory: Duration,
    ) -> Self {
        Self {
            endpoint: without_credentials(endpoint),
            log,
            network_cause,
            memory,
            outage: Mutex::new(None),
        }
    }

    /// An export failed. Only the first failure after all was well is told, whatever its signal.
    pub(super) fn failed(&self, signal: Signal, cause: &str) {
        self.failed_at(Instant::now(), signal, cause);
    }

    fn failed_at(&self, now: Instant, signal: Signal, cause: &str) {
        let told = {
            let mut outage = self.lock();
            let failing = outage.map_or(0, |outage| outage.failing);
            outage.replace(Outage {
                failing: failing | bit(signal),
                last_failure: now,
            })
        };
        if told.is_none() {
            let cause = match self.network_cause.take() {
                Some(network_cause) => format!("{cause}: {network_cause}"),
                None => cause.to_owned(),
            };
            self.log.in_scope(|| {
                tracing::warn!(
                    endpoint = self.endpoint,
                    signal = signal.name(),
                    cause,
                    "telemetry cannot be exported; it is dropped and counted until it can"
                );
            });
        }
    }

    /// An export succeeded. It is told when no signal fails any more, or has failed for a while.
    pub(super) fn succeeded(&self, signal: Signal) {
        self.succeeded_at(Instant::now(), signal);
    }

    fn succeeded_at(&self, now: Instant, signal: Signal) {
        let ended = {
            let mut outage = self.lock();
            if let Some(outage) = outage.as_mut() {
                outage.failing &= !bit(signal);
            }
            outage.take_if(|outage| {
                outage.failing == 0 || now.duration_since(outage.last_failure) >= self.memory
            })
        };
        if ended.is_some() {
            self.log.in_scope(|| {
                tracing::info!(endpoint = self.endpoint, "telemetry is exported again");
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the network failed last: over HTTP, the exporter says no more than that it did.
#[derive(Debug, Default)]
pub(in super::super) struct NetworkCause(Mutex<Option<String>>);

impl NetworkCause {
    pub(super) fn set(&self, cause: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

const fn bit(signal: Signal) -> u8 {
    1 << signal as u8
}

/// The URL without `user:password@`, which does not belong into a log.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ordermill_crds::LogLevel;

    use super::super::super::log::testing::{init_once, lines_of};
    use super::*;

    const MEMORY: Duration = Duration::from_secs(23);

    #[test]
    fn the_end_is_told_though_a_failed_signal_has_nothing_more_to_send() {
        init_once();
        let log = WorkloadLog::new("OrderProducer", "silent-signal", LogLevel::Info);
        let health = ExportHealth::new("http://collector:4317", log, Arc::default(), MEMORY);
        let mut now = Instant::now();
        for told in [2, 4] {
            health.failed_at(now, Signal::Metrics, "connection refused");
            health.failed_at(now, Signal::Traces, "connection refused");
            now += MEMORY / 2;
            health.succeeded_at(now, Signal::Metrics);
            assert_eq!(lines_of("silent-signal").len(), told - 1);
            now += MEMORY / 2 + Duration::from_secs(1);
            health.succeeded_at(now, Signal::Metrics);
            assert_eq!(lines_of("silent-signal").len(), told);
        }
    }

    #[test]
    fn a_signal_that_the_collector_never_takes_is_told_once() {
        init_once();
        let log = WorkloadLog::new("OrderProducer", "refused-signal", LogLevel::Info);
        let health = ExportHealth::new("http://collector:4317", log, Arc::default(), MEMORY);
        let mut now = Instant::now();
        for _ in 0..10 {
            health.failed_at(now, Signal::Logs, "unimplemented");
            now += MEMORY / 2;
            health.succeeded_at(now, Signal::Metrics);
        }
        assert_eq!(lines_of("refused-signal").len(), 1);
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        init_once();
        let log = WorkloadLog::new("OrderProducer", "outage", LogLevel::Info);
        let network_cause = Arc::new(NetworkCause::default());
        network_cause.set("nobody home".to_owned());
        let health = ExportHealth::new(
            "http://user:secret@collector:4317/x",
            log,
            network_cause,
            MEMORY,
        );
        health.succeeded(Signal::Traces);
        for _ in 0..3 {
            health.failed(Signal::Traces, "connection refused");
            health.failed(Signal::Metrics, "connection refused");
        }
        health.succeeded(Signal::Traces);
        health.failed(Signal::Traces, "connection refused");
        health.succeeded(Signal::Traces);
        assert_eq!(lines_of("outage").len(), 1);
        health.succeeded(Signal::Metrics);
        health.succeeded(Signal::Metrics);

        let lines = lines_of("outage");
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["level"], &lines[1]["level"]),
            (&"WARN".into(), &"INFO".into())
        );
        assert_eq!(lines[0]["endpoint"], "http://collector:4317/x");
        assert_eq!(lines[0]["cause"], "connection refused: nobody home");
    }

    #[test]
    fn credentials_do_not_get_into_the_log() {
        for (url, shown) in [
            ("http://collector:4317", "http://collector:4317"),
            ("https://a:b@c:1/v?x=@", "https://c:1/v?x=@"),
            ("https://a@b@c", "https://c"),
            ("https://c/a@b", "https://c/a@b"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
