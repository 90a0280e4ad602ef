//! Numbers and times as people read them.

use jiff::Timestamp;
use ordermill_crds::Observed;

use super::declared::{Declared, Pace};

/// The time from then to now in its two largest units, as kubectl tells ages.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        120..7200 => format!("{minutes}m"),
        7200..36_000 if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        7200..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

/// When numbers were taken.
pub(crate) fn taken(observed: &Observed) -> Option<Timestamp> {
    observed.as_of.as_deref()?.parse().ok()
}

/// The pace of one replica and how many there are.
pub(crate) fn pace(declared: &Declared) -> String {
    let Some(pace) = &declared.pace else {
        return "-".to_owned();
    };
    let text = match pace {
        Pace::Interval(interval) => format!("every {interval}"),
        Pace::RatePerSecond(0.0) => "silent".to_owned(),
        Pace::RatePerSecond(rate) => format!("{rate}/s"),
        Pace::Stages(stages) => match stages.last() {
            Some(last) => format!("{} stages to {}/s", stages.len(), last.rate),
            None => "-".to_owned(),
        },
    };
    match declared.replicas {
        0 | 1 => text,
        replicas => format!("{text} ×{replicas}"),
    }
}

/// A share such as 10% or 0.5%.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number that may be unknown.
pub(crate) fn count(value: Option<i64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Events per second as they were observed.
pub(crate) fn rate(observed: Option<&Observed>) -> String {
    let rate = observed.and_then(|it| it.rate_per_second.as_deref());
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate}/s"))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let of = |seconds: i64| {
            let then = Timestamp::UNIX_EPOCH;
            age(then, then + SignedDuration::from_secs(seconds))
        };
        let told = [0, 119, 120, 121, 3599, 7199, 7260, 36_000, 172_799, 172_800].map(of);
        let expected = [
            "0s", "119s", "2m", "2m1s", "59m", "119m", "2h1m", "10h", "47h", "2d",
        ];
        assert_eq!(told, expected);
        assert_eq!(of(-5), "0s", "clocks differ");
    }

    #[test]
    fn shares_are_short() {
        assert_eq!(
            [0.1, 0.005, 0.0, 1.0].map(percent),
            ["10%", "0.5%", "0%", "100%"]
        );
    }
}
