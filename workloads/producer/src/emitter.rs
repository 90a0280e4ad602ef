//! From ticks to records: what is sent, in which order, and what is only reported.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use ordermill_config::Tuning;
use ordermill_events::{Event, EventType, FollowUp, Generator, Identity, Outcome};
use ordermill_runtime::faults::{FaultTable, ProducerFault, producer_faults};
use ordermill_runtime::kafka::Record;
use ordermill_runtime::telemetry::Telemetry;
use tokio::time::Instant;

use crate::decision::{Decision, FaultDraws};
use crate::delivery::{Tag, report_suppressed};
use crate::record::{Circumstances, RecordBuilder, duplicate_of};

/// An event that follows from another and waits for its time.
#[derive(Debug, Clone)]
struct Waiting {
    due: Instant,
    event: Event,
    /// A bounded run counts on its being sent.
    reserved: bool,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.event.sequence == other.event.sequence
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.event.sequence).cmp(&(other.due, other.event.sequence))
    }
}

/// A record on its way, with what is remembered of it.
pub(crate) struct Outgoing {
    pub record: Record,
    pub tag: Box<Tag>,
    /// It goes to the broker only to be refused.
    pub oversized: bool,
}

/// How many events are still to be sent; `None` for a run without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub remaining: Option<u64>,
    reserved: u64,
}

impl Budget {
    pub(crate) const fn new(remaining: Option<u64>) -> Self {
        Self {
            remaining,
            reserved: 0,
        }
    }

    /// Whether one more event, of which nothing is counted on yet, can be sent.
    const fn has_room(self) -> bool {
        match self.remaining {
            None => true,
            Some(remaining) => remaining > self.reserved,
        }
    }

    fn reserve(&mut self) {
        self.reserved += 1;
    }

    fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    fn spend(&mut self) {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
    }
}

/// Turns ticks into records.
pub(crate) struct Emitter {
    generator: Generator,
    draws: FaultDraws,
    faults: FaultTable<ProducerFault>,
    records: RecordBuilder,
    telemetry: Arc<Telemetry>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Records of the event that goes out after its successor, and since when they wait.
    held: Vec<Outgoing>,
    held_since: Option<Instant>,
    outbox: VecDeque<Outgoing>,
    budget: Budget,
    suppressed: u64,
}

impl Emitter {
    pub(crate) fn new(
        generator: Generator,
        identity: &Identity,
        tuning: &Tuning,
        records: RecordBuilder,
        telemetry: Arc<Telemetry>,
        budget: Budget,
    ) -> Self {
        Self {
            generator,
            draws: FaultDraws::new(identity.root()),
            faults: FaultTable::new(declared(tuning), Instant::now()),
            records,
            telemetry,
            waiting: BinaryHeap::new(),
            held: Vec::new(),
            held_since: None,
            outbox: VecDeque::new(),
            budget,
            suppressed: 0,
        }
    }

    /// Goes on with numbers and follow-ups that an earlier life left behind.
    pub(crate) fn resume(&mut self, suppressed: u64, follow_ups: Vec<FollowUp>, now: Instant) {
        self.suppressed = suppressed;
        self.schedule(follow_ups, now, now);
    }

    /// Takes other faults from now on.
    pub(crate) fn retune(&mut self, tuning: &Tuning, now: Instant) {
        self.faults = self.faults.retuned(declared(tuning), now);
    }

    pub(crate) fn generator(&self) -> &Generator {
        &self.generator
    }

    /// Sequence numbers that were held back on purpose so far.
    pub(crate) const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Events that follow from others and still wait for their time.
    pub(crate) fn follow_ups(&self) -> impl Iterator<Item = &Event> {
        self.waiting.iter().map(|Reverse(waiting)| &waiting.event)
    }

    pub(crate) const fn remaining(&self) -> Option<u64> {
        self.budget.remaining
    }

    /// Whether everything has been emitted.
    pub(crate) fn is_done(&self) -> bool {
        self.budget.remaining == Some(0)
    }

    /// Whether another tick may begin; where all that remains is spoken for, no.
    pub(crate) const fn may_tick(&self) -> bool {
        self.budget.has_room()
    }

    /// When the next event that follows from another is due.
    pub(crate) fn next_follow_up(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(waiting)| waiting.due)
    }

    /// Emits the event of the next tick and what follows from it at once.
    pub(crate) fn tick(&mut self, planned: Instant, now: Instant) {
        let event = self.generator.next(unix_ms());
        self.emit(event, planned, now);
        self.emit_due(now);
    }

    /// Emits every event that follows from another and is due.
    pub(crate) fn emit_due(&mut self, now: Instant) {
        while self.next_follow_up().is_some_and(|due| due <= now)
            && let Some(Reverse(waiting)) = self.waiting.pop()
        {
            if waiting.reserved {
                self.budget.release();
            }
            // Where nothing remains, the run has ended before this event.
            if self.budget.has_room() {
                self.emit(waiting.event, waiting.due, now);
            }
        }
    }

    /// Lets go what waits for a successor that will not come.
    pub(crate) fn release_held(&mut self) {
        self.outbox.extend(self.held.drain(..));
        self.held_since = None;
    }

    /// Whether an event waits to go out after its successor.
    pub(crate) const fn holds(&self) -> bool {
        self.held_since.is_some()
    }

    /// Since when an event waits to go out after its successor.
    pub(crate) const fn held_since(&self) -> Option<Instant> {
        self.held_since
    }

    /// The next record to send.
    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        self.outbox.pop_front()
    }

    /// Puts back a record that there was no room for.
    pub(crate) fn put_back(&mut self, outgoing: Outgoing) {
        self.outbox.push_front(outgoing);
    }

    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outbox.is_empty()
    }

    fn decide(&self, sequence: u64, event_type: EventType, now: Instant) -> Decision {
        let mut faults = self.draws.hits(&self.faults, sequence, now);
        if !self.held.is_empty() {
            // It is itself the successor that lets another go.
            faults = faults.without(ProducerFault::OutOfOrder);
        }
        Decision::new(faults, event_type == EventType::FoodOrderPlaced)
    }

    fn emit(&mut self, mut event: Event, planned: Instant, now: Instant) {
        let decision = self.decide(event.sequence, event.event_type, now);
        if decision.has(ProducerFault::ErrorRate) {
            event.fail();
        }
        let outcome = if decision.suppressed {
            Outcome::Suppressed
        } else {
            Outcome::Sent
        };
        let follow_ups = self.generator.settle(&event, outcome);
        if outcome == Outcome::Sent {
            self.budget.spend();
        }
        self.enqueue(&event, decision, planned, now);
        if decision.suppressed {
            self.suppressed += 1;
        }
        self.schedule(follow_ups, planned, now);
    }

    fn schedule(&mut self, follow_ups: Vec<FollowUp>, from: Instant, now: Instant) {
        for FollowUp { after, event } in follow_ups {
            let reserved = !self
                .decide(event.sequence, event.event_type, now)
                .suppressed;
            if reserved {
                if !self.budget.has_room() {
                    // The run ends before this event.
                    continue;
                }
                self.budget.reserve();
            }
            let due = from + after;
            self.waiting.push(Reverse(Waiting {
                due,
                event,
                reserved,
            }));
        }
    }

    fn enqueue(&mut self, event: &Event, decision: Decision, planned: Instant, now: Instant) {
        let late = now.saturating_duration_since(planned);
        self.telemetry.metrics().record_lateness(late);
        let trace = self.telemetry.new_trace();
        let circumstances = Circumstances {
            decision,
            trace: &trace,
            now_unix_ms: unix_ms(),
            late_by: self.faults.duration(ProducerFault::Late),
            suppressed: self.suppressed,
        };
        let Some(record) = self.records.record(event, circumstances) else {
            return;
        };
        let tag = Tag::new(event, Arc::clone(&record.topic), trace, decision.faults);
        let oversized = decision.has(ProducerFault::Oversized);
        if decision.suppressed && !oversized {
            report_suppressed(&self.telemetry, &tag);
            return;
        }
        let copy = decision.has(ProducerFault::Duplicate).then(|| Outgoing {
            record: duplicate_of(&record),
            tag: Box::new(tag.copy()),
            oversized: false,
        });
        let outgoing = Outgoing {
            record,
            tag: Box::new(tag),
            oversized,
        };
        let records = std::iter::once(outgoing).chain(copy);
        if decision.has(ProducerFault::OutOfOrder) {
            self.held.extend(records);
            self.held_since = Some(now);
        } else {
            self.outbox.extend(records);
            // What is refused is no successor that anybody sees.
            if !oversized {
                self.release_held();
            }
        }
    }
}

fn declared(tuning: &Tuning) -> Vec<(ProducerFault, ordermill_runtime::faults::Declared)> {
    let faults = tuning.producer.as_ref().map(|producer| &producer.faults);
    producer_faults(
        tuning.error_rate,
        faults.unwrap_or(&ordermill_crds::ProducerFaults::default()),
    )
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests;
