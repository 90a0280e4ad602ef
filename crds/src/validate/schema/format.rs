//! The `format` of texts and numbers, as far as the API server enforces it.

use serde_json::Value;

/// What a value must be to have the format, where it does not.
pub(super) fn breach(format: &str, value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => text_breach(format, text),
        Value::Number(number) => {
            let signed = || number.as_i64();
            let (fits, allowed) = match format {
                "int32" => (
                    signed().is_some_and(|n| i32::try_from(n).is_ok()),
                    "must be a whole number of 32 bits, -2147483648 to 2147483647",
                ),
                "int64" => (signed().is_some(), "must be a whole number of 64 bits"),
                "uint32" => (
                    signed().is_some_and(|n| u32::try_from(n).is_ok()),
                    "must be a whole number, 0 to 4294967295",
                ),
                "uint64" => (
                    number.as_u64().is_some(),
                    "must be a whole number of 64 bits, at least 0",
                ),
                // The API server ignores all others (`double`, `uint16`, …).
                _ => return None,
            };
            (!fits).then_some(allowed)
        }
        _ => None,
    }
}

fn text_breach(format: &str, text: &str) -> Option<&'static str> {
    let (fits, allowed) = match format {
        "date-time" => (
            // RFC 3339 asks for the `T` and an offset, which the parser alone does not.
            text.as_bytes()
                .get(10)
                .is_some_and(|byte| matches!(byte, b'T' | b't'))
                && text.parse::<jiff::Timestamp>().is_ok(),
            "must be a date and time of RFC 3339, such as 2026-01-31T12:00:00Z",
        ),
        "date" => (
            text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            "must be a date such as 2026-01-31",
        ),
        "ipv4" => (
            text.parse::<std::net::Ipv4Addr>().is_ok(),
            "must be an IPv4 address",
        ),
        "ipv6" => (
            text.parse::<std::net::Ipv6Addr>().is_ok(),
            "must be an IPv6 address",
        ),
        _ => return None,
    };
    (!fits).then_some(allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_hold_where_the_api_server_holds_them() {
        for (format, value, good) in [
            ("int32", json!(2_147_483_647), true),
            ("int32", json!(2_147_483_648_i64), false),
            ("int64", json!(u64::MAX), false),
            ("uint32", json!(-1), false),
            ("uint64", json!(u64::MAX), true),
            ("double", json!(1e300), true),
            ("date-time", json!("2026-01-31T12:00:00Z"), true),
            ("date-time", json!("2026-01-31T12:00:00.5+02:00"), true),
            ("date-time", json!("2026-01-31 12:00:00Z"), false),
            ("date-time", json!("2026-01-31"), false),
            ("date", json!("2026-02-30"), false),
            ("ipv4", json!("10.0.0.256"), false),
            ("ipv6", json!("::1"), true),
            ("whatever", json!("x"), true),
        ] {
            assert_eq!(
                breach(format, &value).is_none(),
                good,
                "{format} of {value}"
            );
        }
    }
}
