//! What the faults of a backend or a worker do to one request or call.

use std::time::Duration;

use tokio::time::Instant;

use super::{BackendFault, FaultTable};

/// What happens to a request or a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// How much later it is looked at or made: `latency`.
    pub delay: Duration,
    /// What becomes of it then.
    pub end: End,
}

/// What becomes of a request or a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It goes its way.
    Regular,
    /// It fails at once.
    Fails(BackendFault),
    /// It is not answered before the caller has given up: `hang`.
    Hangs,
    /// It is refused, and so are all that come within this time: `unavailable`.
    Refused(Duration),
}

impl FaultTable<BackendFault> {
    /// Decides which of `faults` hit, by numbers of `draw` between 0 and 1. All that may hit are drawn, so that one does not
    /// change how often another does; of those that end it, the gravest has the last word.
    pub fn fate(
        &self,
        faults: &[BackendFault],
        now: Instant,
        mut draw: impl FnMut() -> f64,
    ) -> Fate {
        let hits: Vec<BackendFault> = self
            .declared()
            .filter(|fault| faults.contains(fault) && draw() < self.rate(*fault, now))
            .collect();
        let hit = |fault| hits.contains(&fault);
        let end = if hit(BackendFault::Unavailable) {
            End::Refused(self.duration(BackendFault::Unavailable))
        } else if hit(BackendFault::Hang) {
            End::Hangs
        } else if hit(BackendFault::HttpError) {
            End::Fails(BackendFault::HttpError)
        } else if hit(BackendFault::ErrorRate) {
            End::Fails(BackendFault::ErrorRate)
        } else {
            End::Regular
        };
        let delay = if hit(BackendFault::Latency) {
            self.duration(BackendFault::Latency)
        } else {
            Duration::ZERO
        };
        Fate { delay, end }
    }
}

#[cfg(test)]
mod tests {
    use ordermill_crds::BackendFaults;
    use ordermill_crds::values::Fraction;

    use super::super::backend_faults;
    use super::*;

    const LATENCY: &str = r#""latency": {"rate": 0.5, "duration": "2s"}"#;
    const HTTP_ERROR: &str = r#""httpError": {"rate": 0.5}"#;
    const HANG: &str = r#""hang": {"rate": 0.5}"#;
    const UNAVAILABLE: &str = r#""unavailable": {"rate": 0.5, "duration": "5s"}"#;

    fn fate(error_rate: f64, faults: &[&str], among: &[BackendFault], draws: f64) -> Fate {
        let faults: BackendFaults =
            serde_json::from_str(&format!("{{{}}}", faults.join(","))).unwrap();
        let error_rate = Fraction::try_from(error_rate).unwrap();
        let now = Instant::now();
        let table = FaultTable::new(backend_faults(error_rate, &faults), now);
        table.fate(among, now, || draws)
    }

    #[test]
    fn the_gravest_fault_has_the_last_word() {
        let (none, two) = (Duration::ZERO, Duration::from_secs(2));
        let refused = End::Refused(Duration::from_secs(5));
        let calm = Fate {
            delay: none,
            end: End::Regular,
        };
        for (error_rate, declared, delay, end) in [
            (0.0, vec![], none, End::Regular),
            (0.5, vec![], none, End::Fails(BackendFault::ErrorRate)),
            (0.0, vec![LATENCY], two, End::Regular),
            (0.5, vec![LATENCY], two, End::Fails(BackendFault::ErrorRate)),
            (
                0.5,
                vec![HTTP_ERROR],
                none,
                End::Fails(BackendFault::HttpError),
            ),
            (0.5, vec![HTTP_ERROR, HANG], none, End::Hangs),
            (
                0.5,
                vec![LATENCY, HTTP_ERROR, HANG, UNAVAILABLE],
                two,
                refused,
            ),
        ] {
            let hit = fate(error_rate, &declared, &BackendFault::ALL, 0.49);
            assert_eq!(hit, Fate { delay, end }, "{declared:?}");
            let missed = fate(error_rate, &declared, &BackendFault::ALL, 0.5);
            assert_eq!(missed, calm, "{declared:?}");
        }
    }

    #[test]
    fn faults_that_are_of_something_else_do_not_hit() {
        let among = [BackendFault::Hang];
        assert_eq!(fate(1.0, &[HTTP_ERROR], &among, 0.1).end, End::Regular);
        assert_eq!(fate(1.0, &[HANG], &among, 0.1).end, End::Hangs);
    }
}
