//! What a YAML scalar means to kubectl.
//!
//! kubectl turns YAML into JSON with `sigs.k8s.io/yaml`, a fork of go-yaml 2, and the API server never sees the YAML. That
//! library follows YAML 1.1 where it differs from 1.2: a plain `yes`, `no`, `on`, `off`, `y` or `n` is a boolean, `0777` is
//! octal, `1_000` is a thousand, but `12:30` and `2001-01-01` are texts. Reading them as YAML 1.2 does would accept
//! `name: no` here and have it refused there. A quoted scalar is always a text.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// The JSON value that kubectl makes of a scalar, or why it makes none.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => resolve_plain(text),
            _ => Ok(Value::from(text)),
        };
    };
    if !tag.is_yaml_core_schema() {
        return Ok(Value::from(text));
    }
    let value = match tag.suffix.as_str() {
        "null" | "bool" | "int" | "float" => resolve_plain(text)?,
        "binary" => return Err("binary values have no place in a manifest".to_owned()),
        _ => return Ok(Value::from(text)),
    };
    let fits = match tag.suffix.as_str() {
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "int" => value.is_i64() || value.is_u64(),
        _ => value.is_number(),
    };
    if fits {
        Ok(value)
    } else {
        Err(format!(
            "`{text}` is not of the type that its tag !!{} names",
            tag.suffix
        ))
    }
}

fn resolve_plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => {
            return Err(format!(
                "`{text}` cannot be told to the API server: JSON has no such number"
            ));
        }
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    })
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(integer) = integer(&digits) {
        return i64::try_from(integer)
            .map(Number::from)
            .or_else(|_| u64::try_from(integer).map(Number::from))
            .ok();
    }
    decimal(&digits)
}

/// Go's `strconv.ParseInt` with base 0: `0x`, `0o` and `0b` prefixes, and a leading zero for octal.
fn integer(digits: &str) -> Option<i128> {
    let (sign, digits) = match digits.as_bytes().first()? {
        b'-' => (-1, &digits[1..]),
        b'+' => (1, &digits[1..]),
        _ => (1, digits),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0o") => (&lower[2..], 8),
        Some("0b") => (&lower[2..], 2),
        Some(start) if start.starts_with('0') => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    let signed = sign * magnitude;
    (i128::from(i64::MIN)..=i128::from(u64::MAX))
        .contains(&signed)
        .then_some(signed)
}

/// A decimal by YAML's own pattern; a whole one is an integer in the JSON that kubectl sends.
fn decimal(digits: &str) -> Option<Number> {
    let shape = digits.trim_start_matches(['+', '-']);
    let starts_well = shape.starts_with(|first: char| first.is_ascii_digit())
        || shape
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if !starts_well || digits.len() - shape.len() > 1 {
        return None;
    }
    let value: f64 = digits
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())?;
    whole(value).map_or_else(
        || Number::from_f64(value),
        |whole| Some(Number::from(whole)),
    )
}

/// The integer that a float with no fraction stands for, where a 64-bit integer holds it exactly.
pub(in crate::validate) fn whole(value: f64) -> Option<i64> {
    /// Up to 2^53 every integer is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number of at most 2^53 fits an i64"
    )]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `sigs.k8s.io/yaml` 1.4 answers for each text.
    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubectl() {
        for (text, meaning) in [
            ("yes", json!(true)),
            ("Y", json!(true)),
            ("off", json!(false)),
            ("N", json!(false)),
            ("yEs", json!("yEs")),
            ("tRue", json!("tRue")),
            ("~", json!(null)),
            ("", json!(null)),
            ("nULL", json!("nULL")),
            ("0777", json!(511)),
            ("0o17", json!(15)),
            ("0O17", json!(15)),
            ("-0b11", json!(-3)),
            ("0X1f", json!(31)),
            ("-0x1F", json!(-31)),
            ("+5", json!(5)),
            ("1_000", json!(1000)),
            ("_1", json!("_1")),
            ("0_7", json!(7)),
            ("1.", json!(1)),
            ("1.0", json!(1)),
            (".5", json!(0.5)),
            ("-.5", json!(-0.5)),
            ("1e3", json!(1000)),
            ("1E+3", json!(1000)),
            ("1e", json!("1e")),
            ("1_0.5", json!(10.5)),
            (
                "12345678901234567890",
                json!(12_345_678_901_234_567_890_u64),
            ),
            ("99999999999999999999999", json!(1e23)),
            ("2001-01-01", json!("2001-01-01")),
            ("12:30", json!("12:30")),
            ("089", json!(89)),
            ("-0", json!(0)),
            ("0.1", json!(0.1)),
            ("+", json!("+")),
            ("--1", json!("--1")),
            ("0x", json!("0x")),
            ("0x+1", json!("0x+1")),
            ("1.5.5", json!("1.5.5")),
            ("1e400", json!("1e400")),
            ("0o8", json!("0o8")),
            ("infinity", json!("infinity")),
            ("0xFFFFFFFFFFFFFFFF", json!(u64::MAX)),
        ] {
            assert_eq!(
                resolve(text, ScalarStyle::Plain, None),
                Ok(meaning),
                "{text}"
            );
        }
    }

    #[test]
    fn a_quoted_scalar_is_a_text() {
        for text in ["yes", "1", "null", ""] {
            assert_eq!(
                resolve(text, ScalarStyle::DoubleQuoted, None),
                Ok(json!(text))
            );
        }
    }

    #[test]
    fn numbers_that_json_lacks_are_refused() {
        assert!(resolve(".inf", ScalarStyle::Plain, None).is_err());
    }
}
