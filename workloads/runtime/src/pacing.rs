//! Open-loop pacing: when each unit of work is planned, as a function of the clock and never of how the last one went.
//!
//! A pace is a rate over time; its integral counts the events planned up to a time, its inverse says when the n-th is
//! due. Constant arrival takes the inverse at 0, 1, 2 …; Poisson arrival at the sums of unit exponentials, which is a
//! Poisson process of that (also of a changing) rate by the time-rescaling theorem (Daley and Vere-Jones, An
//! Introduction to the Theory of Point Processes, 7.4).

use std::time::Duration;

use ordermill_config::Pacing;
use ordermill_crds::Arrival;
use rand::Rng;
use rand_distr::{Distribution, Exp1};
use tokio::time::Instant;

/// Longest wait that is planned: beyond it a pace is as good as silent, and an [`Instant`] might overflow.
const HORIZON_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// A stretch of time over which the rate changes linearly.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ramp {
    /// Seconds since the origin at which it begins.
    start: f64,
    /// Its length in seconds; the last one of a profile is endless.
    length: f64,
    /// Events per second at its begin and at its end.
    from: f64,
    to: f64,
    /// Events planned before it.
    before: f64,
}

impl Ramp {
    fn rate_at(&self, seconds: f64) -> f64 {
        if self.length.is_finite() && self.length > 0.0 {
            let share = ((seconds - self.start) / self.length).clamp(0.0, 1.0);
            self.from + (self.to - self.from) * share
        } else {
            self.to
        }
    }

    /// Events planned within it.
    fn events(&self) -> f64 {
        if self.length.is_finite() {
            f64::midpoint(self.from, self.to) * self.length
        } else if self.to > 0.0 {
            f64::INFINITY
        } else {
            0.0
        }
    }

    /// Seconds after its begin at which `events` of its events are planned.
    fn seconds_until(&self, events: f64) -> f64 {
        if self.length.is_infinite() || (self.to - self.from).abs() < f64::EPSILON {
            return events / self.to;
        }
        // Solves from·t + slope·t²/2 = events, in the form that loses no digits where the slope is small.
        let slope = (self.to - self.from) / self.length;
        let root = (self.from * self.from + 2.0 * slope * events)
            .max(0.0)
            .sqrt();
        2.0 * events / (self.from + root)
    }
}

/// The rate over time.
#[derive(Debug, Clone, PartialEq)]
struct Profile(Vec<Ramp>);

impl Profile {
    fn new(pacing: &Pacing) -> Self {
        let steady = |rate: f64| {
            let (start, before) = (0.0, 0.0);
            Self(vec![Ramp {
                start,
                length: f64::INFINITY,
                from: rate,
                to: rate,
                before,
            }])
        };
        match pacing {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a pace needs no more than 53 bits"
            )]
            Pacing::IntervalNanoseconds(nanoseconds) => steady(1e9 / (*nanoseconds).max(1) as f64),
            Pacing::Rate(rate) => steady(*rate),
            Pacing::Stages(stages) => {
                let (mut start, mut from, mut before) = (0.0, 0.0, 0.0);
                let mut ramps = Vec::with_capacity(stages.len() + 1);
                for stage in stages {
                    let (length, to) = (stage.duration.get().as_secs_f64(), stage.rate.get());
                    let ramp = Ramp {
                        start,
                        length,
                        from,
                        to,
                        before,
                    };
                    before += ramp.events();
                    start += length;
                    from = to;
                    ramps.push(ramp);
                }
                let (length, to) = (f64::INFINITY, from);
                ramps.push(Ramp {
                    start,
                    length,
                    from,
                    to,
                    before,
                });
                Self(ramps)
            }
        }
    }

    fn rate_at(&self, seconds: f64) -> f64 {
        let ramp = self
            .0
            .iter()
            .rev()
            .find(|ramp| ramp.start <= seconds)
            .or(self.0.first());
        ramp.map_or(0.0, |ramp| ramp.rate_at(seconds))
    }

    /// Seconds since the origin at which `events` events have been planned, or `None` where that never happens.
    fn inverse(&self, events: f64) -> Option<f64> {
        let ramp = self
            .0
            .iter()
            .find(|ramp| events <= ramp.before + ramp.events() && ramp.events() > 0.0)?;
        let seconds = ramp.start + ramp.seconds_until(events - ramp.before);
        (seconds <= HORIZON_SECONDS).then_some(seconds)
    }
}

/// Plans when each unit of work is due.
#[derive(Debug)]
pub struct Pacer<R> {
    profile: Profile,
    arrival: Arrival,
    random: R,
    origin: Instant,
    /// Position of the next event in the integral of the rate.
    position: f64,
    next: Option<Instant>,
    last: Option<Instant>,
}

impl<R: Rng> Pacer<R> {
    /// A pacer whose first event is due now, or where the pace is a ramp or random, when that says.
    pub fn new(pacing: &Pacing, arrival: Arrival, now: Instant, random: R) -> Self {
        let mut pacer = Self {
            profile: Profile::new(pacing),
            arrival,
            random,
            origin: now,
            position: 0.0,
            next: None,
            last: None,
        };
        pacer.begin(now);
        pacer
    }

    /// When the next event is due; `None` where none ever is, as at rate 0.
    pub const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Events per second that are planned at a time.
    pub fn rate_at(&self, now: Instant) -> f64 {
        self.profile
            .rate_at(now.saturating_duration_since(self.origin).as_secs_f64())
    }

    /// Says that the next event has been taken: plans the one after it.
    pub fn advance(&mut self) {
        self.last = self.next;
        self.position += self.gap();
        self.plan();
    }

    /// Takes another pace from now on. What was due and not yet taken is not made up for, and an event that the new
    /// pace plans within what already passed since the last one is due at once: no burst, no double, no extra wait.
    pub fn retune(&mut self, pacing: &Pacing, arrival: Arrival, now: Instant) {
        self.profile = Profile::new(pacing);
        self.arrival = arrival;
        self.begin(now);
    }

    /// Plans from now on, as after a pause: what would have been due meanwhile is not made up for.
    pub fn resume(&mut self, now: Instant) {
        self.begin(now);
    }

    fn begin(&mut self, now: Instant) {
        self.origin = now;
        let steady = self.profile.0.len() == 1;
        self.position = match (self.arrival, self.last) {
            (Arrival::Poisson, _) => self.gap(),
            (Arrival::Constant, None) if steady => 0.0,
            (Arrival::Constant, None) => 1.0,
            (Arrival::Constant, Some(last)) => {
                let since = now.saturating_duration_since(last).as_secs_f64();
                (1.0 - since * self.profile.rate_at(0.0)).max(0.0)
            }
        };
        self.plan();
    }

    fn gap(&mut self) -> f64 {
        match self.arrival {
            Arrival::Constant => 1.0,
            Arrival::Poisson => Exp1.sample(&mut self.random),
        }
    }

    fn plan(&mut self) {
        self.next = self
            .profile
            .inverse(self.position)
            .map(|seconds| self.origin + Duration::from_secs_f64(seconds));
    }
}

#[cfg(test)]
mod tests {
    use ordermill_crds::Stage;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn pacer(pacing: &Pacing, arrival: Arrival, now: Instant) -> Pacer<ChaCha8Rng> {
        Pacer::new(pacing, arrival, now, ChaCha8Rng::seed_from_u64(7))
    }

    fn stage(seconds: u64, rate: f64) -> Stage {
        Stage {
            duration: Duration::from_secs(seconds).try_into().unwrap(),
            rate: rate.try_into().unwrap(),
        }
    }

    /// Seconds since `start` of the next `count` events.
    fn planned(pacer: &mut Pacer<ChaCha8Rng>, start: Instant, count: usize) -> Vec<f64> {
        let mut times = Vec::new();
        while times.len() < count
            && let Some(next) = pacer.next()
        {
            times.push(next.duration_since(start).as_secs_f64());
            pacer.advance();
        }
        times
    }

    #[test]
    fn constant_events_are_even_and_begin_at_once() {
        let start = Instant::now();
        let mut pacer = pacer(
            &Pacing::interval(Duration::from_millis(250)),
            Arrival::Constant,
            start,
        );
        assert_eq!(planned(&mut pacer, start, 5), [0.0, 0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn a_long_run_does_not_drift() {
        let start = Instant::now();
        let mut pacer = pacer(&Pacing::Rate(300_000.0), Arrival::Constant, start);
        (0..3_000_000).for_each(|_| pacer.advance());
        let seconds = pacer.next().unwrap().duration_since(start).as_secs_f64();
        assert!((seconds - 10.0).abs() < 1e-6, "{seconds}");
    }

    #[test]
    fn rate_zero_is_silent_until_it_is_tuned() {
        let start = Instant::now();
        let mut pacer = pacer(&Pacing::Rate(0.0), Arrival::Constant, start);
        assert_eq!(pacer.next(), None);
        let later = start + Duration::from_secs(100);
        pacer.retune(&Pacing::Rate(10.0), Arrival::Constant, later);
        assert_eq!(planned(&mut pacer, later, 3), [0.0, 0.1, 0.2]);
        pacer.retune(&Pacing::Rate(0.0), Arrival::Poisson, later);
        assert_eq!(pacer.next(), None);
    }

    #[test]
    fn a_shorter_interval_counts_what_passed_and_a_longer_one_waits_in_full() {
        let start = Instant::now();
        let minute = Pacing::interval(Duration::from_mins(1));
        let second = Pacing::interval(Duration::from_secs(1));
        let mut pacer = pacer(&minute, Arrival::Constant, start);
        pacer.advance();
        let later = start + Duration::from_millis(300);
        pacer.retune(&second, Arrival::Constant, later);
        let next = pacer.next().unwrap().duration_since(start).as_secs_f64();
        assert!((next - 1.0).abs() < 1e-6, "{next}");
        pacer.advance();
        pacer.retune(&minute, Arrival::Constant, start + Duration::from_secs(11));
        let next = pacer.next().unwrap().duration_since(start).as_secs_f64();
        assert!((next - 61.0).abs() < 1e-6, "{next}");
    }

    #[test]
    fn an_edit_and_a_pause_make_up_for_nothing() {
        let start = Instant::now();
        let fast = Pacing::Rate(1000.0);
        let mut pacer = pacer(&fast, Arrival::Constant, start);
        pacer.advance();
        let later = start + Duration::from_mins(1);
        pacer.resume(later);
        let times = planned(&mut pacer, later, 3);
        assert_eq!(times, [0.0, 0.001, 0.002]);
    }

    #[test]
    fn stages_ramp_and_the_last_rate_stays() {
        let start = Instant::now();
        let stages = Pacing::Stages(vec![
            stage(10, 10.0),
            stage(0, 2.0),
            stage(5, 2.0),
            stage(5, 0.0),
        ]);
        let mut pacer = pacer(&stages, Arrival::Constant, start);
        // 10 s × 5/s, then 5 s × 2/s, then 5 s × 1/s on average, then silence.
        let times = planned(&mut pacer, start, 1000);
        assert_eq!(times.len(), 65);
        assert!((times[49] - 10.0).abs() < 1e-6, "{}", times[49]);
        assert!((times[59] - 15.0).abs() < 1e-6, "{}", times[59]);
        assert!((pacer.rate_at(start + Duration::from_secs(5)) - 5.0).abs() < 1e-9);
        assert!(pacer.rate_at(start + Duration::from_mins(1)).abs() < 1e-9);
    }

    #[test]
    fn poisson_keeps_the_mean_and_has_exponential_gaps() {
        let start = Instant::now();
        let mut pacer = pacer(&Pacing::Rate(100.0), Arrival::Poisson, start);
        let times = planned(&mut pacer, start, 100_000);
        // The time of the n-th event has mean n/rate and standard deviation √n/rate; the seed is fixed.
        assert!(
            (times[99_999] - 1000.0).abs() < 6.2 * 3.17,
            "{}",
            times[99_999]
        );
        let mut gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        let median = gaps[gaps.len() / 2];
        assert!(
            (median - std::f64::consts::LN_2 / 100.0).abs() < 2e-4,
            "{median}"
        );
    }

    proptest! {
        #[test]
        fn time_never_goes_back_and_counts_the_integral(
            rates in prop::collection::vec((0_u64..20, 0.0_f64..50.0), 1..6)
        ) {
            let start = Instant::now();
            let stages: Vec<_> = rates.iter().map(|(seconds, rate)| stage(*seconds, *rate)).collect();
            let length: u64 = rates.iter().map(|(seconds, _)| seconds).sum();
            let mut from = 0.0;
            let mut integral = 0.0;
            for (seconds, rate) in &rates {
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let seconds = *seconds as f64;
                integral += (from + rate) / 2.0 * seconds;
                from = *rate;
            }
            let mut pacer = pacer(&Pacing::Stages(stages), Arrival::Constant, start);
            let times = planned(&mut pacer, start, 5000);
            prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9));
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let within = times.iter().filter(|time| **time <= length as f64).count() as f64;
            prop_assert!((within - integral).abs() <= 1.0 + 1e-6, "{within} of {integral}");
        }
    }
}
