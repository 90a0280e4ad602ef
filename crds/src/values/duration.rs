//! Durations in Go's notation (`500ms`, `1m30s`, `8760h`), as everywhere in Kubernetes.

use std::fmt;
use std::str::FromStr;
use std::time;

use super::ValueError;
use super::bounds::{inline_schema, text_serde};

/// The notation the schema accepts: Go's `time.ParseDuration` without sign and without the bare `0`.
const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$";
/// Longer texts carry no more meaning, and CEL needs a bound on what it parses.
const MAX_LENGTH: usize = 24;
const NOTATION: &str = "use Go's notation, such as 500ms, 1m30s or 8760h";

/// A duration that is not negative, in nanoseconds up to 292 years as in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(time::Duration);

impl Duration {
    /// The longest duration that Go's `time.Duration`, and so CEL, can hold.
    const MAX_NANOSECONDS: u128 = i64::MAX as u128;

    /// The value as the standard library's type.
    #[must_use]
    pub const fn get(self) -> time::Duration {
        self.0
    }

    /// Wraps a duration of the standard library.
    #[must_use]
    pub const fn from_std(duration: time::Duration) -> Self {
        Self(duration)
    }
}

/// Nanoseconds in one of a unit.
fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// One `<digits>[.<digits>]<unit>` from the front of `text`: its nanoseconds and what follows it.
fn leading_term(text: &str) -> Option<(u128, &str)> {
    let end_of = |text: &str, inside: fn(char) -> bool| {
        text.find(|character| !inside(character))
            .unwrap_or(text.len())
    };
    let (whole, rest) = text.split_at(end_of(text, |c| c.is_ascii_digit()));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, rest) = rest.split_at(end_of(rest, |c| c.is_ascii_digit()));
            (Some(fraction).filter(|digits| !digits.is_empty())?, rest)
        }
        None => ("", rest),
    };
    let (unit, rest) = rest.split_at(end_of(rest, |c| c.is_ascii_alphabetic()));
    let unit = unit_nanoseconds(unit)?;
    let mut nanoseconds = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.chars().filter_map(|digit| digit.to_digit(10)) {
        place /= 10;
        nanoseconds += u128::from(digit) * place;
    }
    Some((nanoseconds, rest))
}

impl FromStr for Duration {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refuse = |allowed: &str| ValueError::new(text, "a duration", allowed);
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(refuse(NOTATION));
        }
        let mut nanoseconds = 0_u128;
        let mut rest = text;
        while !rest.is_empty() {
            let (term, after) = leading_term(rest).ok_or_else(|| refuse(NOTATION))?;
            nanoseconds += term;
            rest = after;
        }
        if nanoseconds > Self::MAX_NANOSECONDS {
            return Err(refuse("at most 292 years fit"));
        }
        let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        Ok(Self(time::Duration::from_nanos(nanoseconds)))
    }
}

impl fmt::Display for Duration {
    /// Go's own rendering without its trailing zero units: `1m30s`, `2h`, `1.5s`, `250ms`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.subsec_nanos();
        let seconds = self.0.as_secs();
        if seconds == 0 && nanoseconds > 0 {
            return match nanoseconds {
                1_000_000.. => write_decimal(formatter, nanoseconds, 1_000_000, "ms"),
                1_000.. => write_decimal(formatter, nanoseconds, 1_000, "us"),
                _ => write!(formatter, "{nanoseconds}ns"),
            };
        }
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours > 0 {
            write!(formatter, "{hours}h")?;
        }
        if minutes > 0 {
            write!(formatter, "{minutes}m")?;
        }
        if nanoseconds > 0 {
            let fraction = format!("{nanoseconds:09}");
            write!(formatter, "{seconds}.{}s", fraction.trim_end_matches('0'))
        } else if seconds > 0 || (hours == 0 && minutes == 0) {
            write!(formatter, "{seconds}s")
        } else {
            Ok(())
        }
    }
}

fn write_decimal(
    formatter: &mut fmt::Formatter<'_>,
    value: u32,
    unit: u32,
    name: &str,
) -> fmt::Result {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return write!(formatter, "{whole}{name}");
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    write!(
        formatter,
        "{whole}.{}{name}",
        fraction.trim_end_matches('0')
    )
}

text_serde!(Duration);

/// The schema of a duration between two bounds, both given in Go's notation.
fn bounded_schema(minimum: &str, maximum: &str) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "pattern": PATTERN,
        "maxLength": MAX_LENGTH,
        "x-kubernetes-validations": [{
            "rule": format!(
                "duration(self) >= duration('{minimum}') && duration(self) <= duration('{maximum}')"
            ),
            "message": format!("must be a duration between {minimum} and {maximum}"),
        }],
    })
}

macro_rules! bounded_duration {
    ($(#[$doc:meta])* $name:ident, $minimum:literal, $maximum:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Duration);

        impl $name {
            /// The value as the standard library's type.
            #[must_use]
            pub const fn get(self) -> time::Duration {
                self.0.get()
            }
        }

        impl TryFrom<time::Duration> for $name {
            type Error = ValueError;

            fn try_from(duration: time::Duration) -> Result<Self, ValueError> {
                let duration = Duration(duration);
                let inside = |bound: &str, holds: fn(Duration, Duration) -> bool| {
                    bound.parse().is_ok_and(|bound| holds(duration, bound))
                };
                if inside($minimum, |value, bound| value >= bound)
                    && inside($maximum, |value, bound| value <= bound)
                {
                    Ok(Self(duration))
                } else {
                    Err(ValueError::new(
                        duration,
                        "a duration for this field",
                        concat!("must be between ", $minimum, " and ", $maximum),
                    ))
                }
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                Self::try_from(text.parse::<Duration>()?.get())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        text_serde!($name);
        inline_schema!($name, bounded_schema($minimum, $maximum));
    };
}

bounded_duration!(
    /// The time from one unit of work to the next: 1 ms to one year.
    Interval, "1ms", "8760h"
);
bounded_duration!(
    /// A delay that something waits or is late by: 0 to 24 hours.
    Delay, "0s", "24h"
);
bounded_duration!(
    /// A span that something lasts: 1 s to ten years.
    Period, "1s", "87600h"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_gos_notation() {
        for (text, nanoseconds) in [
            ("500ms", 500_000_000),
            ("1m30s", 90_000_000_000),
            ("8760h", 31_536_000_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0s", 0),
            ("7us", 7_000),
            ("0.5ns", 0),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.get().as_nanos(), nanoseconds, "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses_and_signs() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1 s",
            "1.s",
            ".5s",
            "1d",
            "1s,",
            "300000000h",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_parser_and_the_schema_pattern_agree() {
        let pattern = regex::Regex::new(PATTERN).unwrap();
        for text in [
            "1s", "1.5h2m", "", "5", "1.s", "1µs", "1S", "1h ", "0.0001ns",
        ] {
            assert_eq!(
                pattern.is_match(text),
                text.parse::<Duration>().is_ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn bounds_are_inclusive_and_named() {
        assert!("1ms".parse::<Interval>().is_ok());
        assert!("8760h".parse::<Interval>().is_ok());
        let error = "999us".parse::<Interval>().unwrap_err();
        assert!(
            error.to_string().contains("between 1ms and 8760h"),
            "{error}"
        );
        assert!("8760h1ns".parse::<Interval>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanoseconds in 0..=i64::MAX.unsigned_abs()) {
            let duration = Duration(time::Duration::from_nanos(nanoseconds));
            // The longest renderings exceed the schema's length only beyond what any field allows.
            prop_assume!(duration.to_string().len() <= MAX_LENGTH);
            prop_assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
        }
    }
}
