//! What is wrong with a request on purpose.

use std::time::Duration;

use ordermill_runtime::faults::{BackendFault, FaultTable};
use tokio::time::Instant;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// How much later it is looked at.
    pub delay: Duration,
    /// What becomes of it then.
    pub end: End,
    /// The fault that it is marked with: the one that has the last word.
    pub fault: Option<BackendFault>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is answered.
    Answer,
    /// It fails.
    Fail,
    /// It is not answered before the caller has given up.
    Hang,
    /// It is not answered, and neither is any other for so long.
    Refuse(Duration),
}

/// Decides by numbers of `draw` between 0 and 1, one for each fault that is declared.
pub fn decide(
    table: &FaultTable<BackendFault>,
    now: Instant,
    mut draw: impl FnMut() -> f64,
) -> Decision {
    let hits: Vec<BackendFault> = table
        .declared()
        .filter(|fault| draw() < table.rate(*fault, now))
        .collect();
    let hit = |fault: BackendFault| hits.contains(&fault).then_some(fault);
    let end = |fault: BackendFault| match fault {
        BackendFault::Unavailable => End::Refuse(table.duration(fault)),
        BackendFault::Hang => End::Hang,
        BackendFault::HttpError | BackendFault::ErrorRate => End::Fail,
        BackendFault::Latency => End::Answer,
    };
    let fault = hit(BackendFault::Unavailable)
        .or(hit(BackendFault::Hang))
        .or(hit(BackendFault::HttpError))
        .or(hit(BackendFault::ErrorRate))
        .or(hit(BackendFault::Latency));
    Decision {
        delay: hit(BackendFault::Latency).map_or(Duration::ZERO, |fault| table.duration(fault)),
        end: fault.map_or(End::Answer, end),
        fault,
    }
}

#[cfg(test)]
mod tests {
    use ordermill_crds::BackendFaults;
    use ordermill_crds::values::Fraction;
    use ordermill_runtime::faults::backend_faults;

    use super::*;

    fn decided(error_rate: f64, faults: &str, draws: f64) -> Decision {
        let faults: BackendFaults = serde_json::from_str(faults).unwrap();
        let error_rate = Fraction::try_from(error_rate).unwrap();
        let now = Instant::now();
        let table = FaultTable::new(backend_faults(error_rate, &faults), now);
        decide(&table, now, || draws)
    }

    #[test]
    fn the_gravest_fault_has_the_last_word() {
        let latency = r#""latency": {"rate": 1, "duration": "2s"}"#;
        let hang = r#""hang": {"rate": 1}"#;
        let unavailable = r#""unavailable": {"rate": 1, "duration": "5s"}"#;
        let two = Duration::from_secs(2);
        for (error_rate, faults, delay, end, fault) in [
            (0.0, "{}".to_owned(), Duration::ZERO, End::Answer, None),
            (
                1.0,
                "{}".to_owned(),
                Duration::ZERO,
                End::Fail,
                Some(BackendFault::ErrorRate),
            ),
            (
                0.0,
                format!("{{{latency}}}"),
                two,
                End::Answer,
                Some(BackendFault::Latency),
            ),
            (
                1.0,
                format!("{{{latency}}}"),
                two,
                End::Fail,
                Some(BackendFault::ErrorRate),
            ),
            (
                1.0,
                r#"{"httpError": {"rate": 1}}"#.to_owned(),
                Duration::ZERO,
                End::Fail,
                Some(BackendFault::HttpError),
            ),
            (
                1.0,
                format!("{{{latency}, {hang}}}"),
                two,
                End::Hang,
                Some(BackendFault::Hang),
            ),
            (
                1.0,
                format!("{{{latency}, {hang}, {unavailable}}}"),
                two,
                End::Refuse(Duration::from_secs(5)),
                Some(BackendFault::Unavailable),
            ),
        ] {
            assert_eq!(
                decided(error_rate, &faults, 0.5),
                Decision { delay, end, fault },
                "{faults}"
            );
        }
    }

    #[test]
    fn a_fault_hits_as_often_as_it_says() {
        for (draw, end) in [
            (0.0, End::Fail),
            (0.29, End::Fail),
            (0.3, End::Answer),
            (0.99, End::Answer),
        ] {
            assert_eq!(decided(0.3, "{}", draw).end, end, "{draw}");
        }
    }
}
