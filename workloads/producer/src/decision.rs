//! What becomes of one event: a function of its number, of what is declared, and of the time.

use std::fmt::Write as _;
use std::sync::OnceLock;

use ordermill_events::{Root, Stream};
use ordermill_runtime::faults::{FaultTable, ProducerFault};
use tokio::time::Instant;

/// The faults that hit one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FaultSet(u8);

const COMBINATIONS: usize = 1 << ProducerFault::ALL.len();

fn bit(fault: ProducerFault) -> u8 {
    ProducerFault::ALL
        .iter()
        .position(|known| *known == fault)
        .map_or(0, |position| 1 << position)
}

impl FaultSet {
    pub(crate) fn with(self, fault: ProducerFault) -> Self {
        Self(self.0 | bit(fault))
    }

    pub(crate) fn without(self, fault: ProducerFault) -> Self {
        Self(self.0 & !bit(fault))
    }

    pub(crate) fn contains(self, fault: ProducerFault) -> bool {
        self.0 & bit(fault) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the faults, separated by commas: one label for each combination, so that counts by label add up.
    pub(crate) fn label(self) -> &'static str {
        static LABELS: OnceLock<[&'static str; COMBINATIONS]> = OnceLock::new();
        let labels = LABELS.get_or_init(|| {
            std::array::from_fn(|bits| {
                let mut label = String::new();
                for (position, fault) in ProducerFault::ALL.iter().enumerate() {
                    if bits & (1 << position) != 0 {
                        let comma = if label.is_empty() { "" } else { "," };
                        // Writing to a string cannot fail.
                        _ = write!(label, "{comma}{}", fault.name());
                    }
                }
                // Made once for each of the few combinations, for the life of the process.
                &*label.leak()
            })
        });
        labels[usize::from(self.0)]
    }
}

/// A stream of draws for each fault, so that turning one on changes no draw of another.
#[derive(Debug, Clone)]
pub(crate) struct FaultDraws([(ProducerFault, Stream); ProducerFault::ALL.len()]);

impl FaultDraws {
    pub(crate) fn new(root: &Root) -> Self {
        Self(
            ProducerFault::ALL
                .map(|fault| (fault, root.stream(&format!("fault {}", fault.name())))),
        )
    }

    /// The faults that hit the event of this number at this time.
    pub(crate) fn hits(
        &self,
        table: &FaultTable<ProducerFault>,
        sequence: u64,
        now: Instant,
    ) -> FaultSet {
        let mut faults = FaultSet::default();
        for (fault, stream) in &self.0 {
            let rate = table.rate(*fault, now);
            // Draws are in [0, 1), so a rate of 1 always hits, and one of 0 is not even drawn.
            if rate > 0.0 && stream.uniform(sequence) < rate {
                faults = faults.with(*fault);
            }
        }
        faults
    }
}

/// What is done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What of it is on purpose.
    pub faults: FaultSet,
    /// It is not delivered.
    pub suppressed: bool,
}

impl Decision {
    /// What the faults that hit an event make of it. `fails_in_payload`: errorRate marks the event as failed instead of
    /// holding it back, as it does to a food order.
    pub(crate) fn new(faults: FaultSet, fails_in_payload: bool) -> Self {
        let held_back = faults.contains(ProducerFault::ErrorRate) && !fails_in_payload;
        let dropped = held_back || faults.contains(ProducerFault::Drop);
        let suppressed = dropped || faults.contains(ProducerFault::Oversized);
        let faults = if dropped {
            // What is not sent is neither late nor doubled nor marked as failed, and not refused either.
            [
                (ProducerFault::ErrorRate, held_back),
                (ProducerFault::Drop, true),
            ]
            .into_iter()
            .filter(|(fault, counts)| *counts && faults.contains(*fault))
            .fold(FaultSet::default(), |set, (fault, _)| set.with(fault))
        } else if suppressed {
            FaultSet::default().with(ProducerFault::Oversized)
        } else {
            faults
        };
        Self { faults, suppressed }
    }

    pub(crate) fn has(self, fault: ProducerFault) -> bool {
        self.faults.contains(fault)
    }
}

#[cfg(test)]
mod tests {
    use ordermill_crds::values::Fraction;
    use ordermill_runtime::faults::Declared;

    use super::*;

    fn table(faults: &[(ProducerFault, f64)]) -> FaultTable<ProducerFault> {
        let declared = |rate: f64| Declared::always(Fraction::try_from(rate).unwrap());
        let faults = faults.iter().map(|(fault, rate)| (*fault, declared(*rate)));
        FaultTable::new(faults, Instant::now())
    }

    fn hits(faults: &[(ProducerFault, f64)], watched: ProducerFault, count: u64) -> Vec<u64> {
        let (table, now) = (table(faults), Instant::now());
        let draws = FaultDraws::new(&Root::seeded(7, 0));
        (0..count)
            .filter(|sequence| draws.hits(&table, *sequence, now).contains(watched))
            .collect()
    }

    #[test]
    fn the_share_of_hits_is_the_rate() {
        // Six standard deviations: a chance of 1 in 10⁹, were the seed not fixed anyway.
        for rate in [0.01_f64, 0.1, 0.5, 0.9] {
            let count = hits(&[(ProducerFault::Drop, rate)], ProducerFault::Drop, 100_000).len();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let off = (count as f64 - 1e5 * rate).abs();
            assert!(
                off < 6.2 * (1e5 * rate * (1.0 - rate)).sqrt(),
                "{rate}: {count}"
            );
        }
        assert_eq!(
            hits(&[(ProducerFault::Drop, 1.0)], ProducerFault::Drop, 1000).len(),
            1000
        );
        assert!(hits(&[(ProducerFault::Drop, 0.0)], ProducerFault::Drop, 1000).is_empty());
    }

    #[test]
    fn turning_one_fault_on_changes_no_draw_of_another() {
        let alone = hits(&[(ProducerFault::Late, 0.3)], ProducerFault::Late, 2000);
        let beside = hits(
            &[(ProducerFault::Drop, 0.5), (ProducerFault::Late, 0.3)],
            ProducerFault::Late,
            2000,
        );
        assert_eq!(alone, beside);
    }

    #[test]
    fn a_higher_rate_hits_the_same_events_and_more() {
        let fewer = hits(&[(ProducerFault::Drop, 0.1)], ProducerFault::Drop, 2000);
        let more = hits(&[(ProducerFault::Drop, 0.4)], ProducerFault::Drop, 2000);
        assert!(fewer.iter().all(|sequence| more.contains(sequence)));
    }

    #[test]
    fn error_rate_holds_back_or_marks_as_failed() {
        let faults = FaultSet::default().with(ProducerFault::ErrorRate);
        assert!(Decision::new(faults, false).suppressed);
        assert!(!Decision::new(faults, true).suppressed);
    }

    #[test]
    fn what_is_not_sent_has_no_other_fault() {
        let all = ProducerFault::ALL
            .into_iter()
            .fold(FaultSet::default(), FaultSet::with);
        let decision = Decision::new(all, false);
        assert_eq!(decision.faults.label(), "errorRate,drop");
        assert_eq!(Decision::new(all, true).faults.label(), "drop");
        let without_drop = all
            .without(ProducerFault::ErrorRate)
            .without(ProducerFault::Drop);
        assert_eq!(
            Decision::new(without_drop, false).faults.label(),
            "oversized"
        );
        let sent = without_drop.without(ProducerFault::Oversized);
        assert!(!Decision::new(sent, false).suppressed);
        assert_eq!(sent.label(), "duplicate,outOfOrder,late,malformed");
    }
}
