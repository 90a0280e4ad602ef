//! Numbers between bounds.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ValueError;
use super::bounds::inline_schema;

macro_rules! bounded_number {
    ($(#[$doc:meta])* $name:ident, $wanted:literal, $minimum:literal, $maximum:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
        pub struct $name(f64);

        impl $name {
            /// The smallest value allowed.
            pub const MINIMUM: Self = Self($minimum);
            /// The largest value allowed.
            pub const MAXIMUM: Self = Self($maximum);

            /// The number.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = ValueError;

            fn try_from(value: f64) -> Result<Self, ValueError> {
                if ($minimum..=$maximum).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(ValueError::new(
                        value,
                        $wanted,
                        concat!("must be between ", $minimum, " and ", $maximum),
                    ))
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                let value = text.trim().parse::<f64>().map_err(|_| {
                    ValueError::new(
                        text,
                        $wanted,
                        concat!("must be a number between ", $minimum, " and ", $maximum),
                    )
                })?;
                Self::try_from(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(f64::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }

        inline_schema!(
            $name,
            schemars::json_schema!({
                "type": "number",
                "format": "double",
                "minimum": $minimum,
                "maximum": $maximum,
            })
        );
    };
}

bounded_number!(
    /// A share or a probability, 0 to 1.
    Fraction, "a fraction", 0.0, 1.0
);
bounded_number!(
    /// Events per second of one replica, 0 (silent) to 1,000,000.
    Rate, "a rate", 0.0, 1_000_000.0
);
bounded_number!(
    /// A Zipf exponent, 0 (all keys alike) to 5.
    Skew, "a Zipf exponent", 0.0, 5.0
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_named() {
        assert_eq!("1".parse::<Fraction>().unwrap(), Fraction::MAXIMUM);
        assert_eq!("0".parse::<Fraction>().unwrap(), Fraction::MINIMUM);
        let error = "1.01".parse::<Fraction>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""1.01" is not a fraction: must be between 0.0 and 1.0"#
        );
        assert!("NaN".parse::<Rate>().is_err());
        assert!("1000000.1".parse::<Rate>().is_err());
        assert!("ten".parse::<Rate>().is_err());
    }
}
