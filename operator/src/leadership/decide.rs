//! Who leads, as a function of the Lease that was read.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

/// What to do about a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Write it in this process's name; it is there, unless `None`.
    Take,
    /// Write the time of the renewal.
    Renew,
    /// Another one leads.
    Stand,
}

/// The Lease as it was when this process saw it change last. Clocks of two machines differ, so only the time since then
/// counts, and never the time that stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    version: Option<String>,
    since: Instant,
}

impl Seen {
    pub(super) fn nothing(now: Instant) -> Self {
        Self {
            version: None,
            since: now,
        }
    }

    /// Notes what was read.
    pub(super) fn note(&mut self, lease: &Lease, now: Instant) {
        let version = &lease.metadata.resource_version;
        if self.version != *version {
            self.version.clone_from(version);
            self.since = now;
        }
    }
}

/// Decides by the Lease that was read, or its absence.
pub(super) fn decide(lease: Option<&Lease>, me: &str, seen: &Seen, now: Instant) -> Step {
    let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
        return Step::Take;
    };
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    if holder == me {
        Step::Renew
    } else if holder.is_empty() || now.duration_since(seen.since) >= duration {
        Step::Take
    } else {
        Step::Stand
    }
}

/// The Lease as this process writes it.
pub(super) fn write(
    before: Option<&Lease>,
    step: &Step,
    me: &str,
    duration: Duration,
    now: jiff::Timestamp,
) -> LeaseSpec {
    let before = before
        .and_then(|lease| lease.spec.clone())
        .unwrap_or_default();
    let time = Some(MicroTime(now));
    let taken = *step == Step::Take;
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: if taken {
            time.clone()
        } else {
            before.acquire_time
        },
        renew_time: time,
        lease_transitions: Some(transitions + i32::from(taken && before.holder_identity.is_some())),
        ..LeaseSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(10);

    fn lease(holder: &str, version: &str) -> Lease {
        let mut lease = Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(10),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    #[test]
    fn a_lease_is_taken_when_it_has_not_changed_for_its_duration() {
        let start = Instant::now();
        let mut seen = Seen::nothing(start);
        seen.note(&lease("other", "1"), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let step =
            |seen: &Seen, seconds| decide(Some(&lease("other", "1")), "me", seen, at(seconds));
        assert_eq!(step(&seen, 9), Step::Stand);
        assert_eq!(step(&seen, 10), Step::Take);
        seen.note(&lease("other", "2"), at(9));
        assert_eq!(step(&seen, 18), Step::Stand);
        seen.note(&lease("other", "2"), at(18));
        assert_eq!(step(&seen, 19), Step::Take);
    }

    #[test]
    fn a_free_lease_is_taken_at_once_and_the_own_one_renewed() {
        let seen = Seen::nothing(Instant::now());
        let now = Instant::now();
        assert_eq!(decide(None, "me", &seen, now), Step::Take);
        assert_eq!(decide(Some(&lease("", "1")), "me", &seen, now), Step::Take);
        assert_eq!(
            decide(Some(&lease("me", "1")), "me", &seen, now),
            Step::Renew
        );
    }

    #[test]
    fn only_a_change_of_holder_is_a_transition() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let written = |before: Option<&Lease>, step| write(before, &step, "me", DURATION, now);
        assert_eq!(written(None, Step::Take).lease_transitions, Some(0));
        let other = lease("other", "1");
        let taken = written(Some(&other), Step::Take);
        assert_eq!(taken.lease_transitions, Some(1));
        assert_eq!(taken.holder_identity.as_deref(), Some("me"));
        let mine = Lease {
            spec: Some(taken),
            ..other
        };
        assert_eq!(written(Some(&mine), Step::Renew).lease_transitions, Some(1));
    }
}
