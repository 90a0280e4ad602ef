//! W3C trace context, as a few bytes on the stack: what every event carries, whether or not its span is kept.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use ordermill_crds::values::Fraction;
use rand::RngExt as _;

/// Length of a `traceparent` of version 00: `00-{32 hex}-{16 hex}-{2 hex}`.
const TRACEPARENT_LENGTH: usize = 55;

const SAMPLED: u8 = 0x01;

/// The identity of a span and whether its trace is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
}

impl TraceContext {
    /// Begins a trace of its own, with random ids, and decides by `ratio` whether it is sampled.
    #[must_use]
    pub fn root(ratio: &SamplingRatio) -> Self {
        let trace_id = random_trace_id();
        Self {
            trace_id,
            span_id: random_span_id(),
            sampled: ratio.samples(trace_id),
        }
    }

    /// Begins a trace of its own, with random ids and the given decision.
    #[must_use]
    pub fn new_root(sampled: bool) -> Self {
        Self {
            trace_id: random_trace_id(),
            span_id: random_span_id(),
            sampled,
        }
    }

    /// A span below this one: the same trace and decision, a new span id.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: random_span_id(),
            ..*self
        }
    }

    /// The trace, 16 bytes, never all zero.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span, 8 bytes, never all zero.
    #[must_use]
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// Whether the trace is sampled.
    #[must_use]
    pub const fn sampled(&self) -> bool {
        self.sampled
    }

    /// The header's value, without allocating.
    #[must_use]
    pub fn traceparent(&self) -> Traceparent {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&self.trace_id.to_bytes(), &mut text[3..35]);
        write_hex(&self.span_id.to_bytes(), &mut text[36..52]);
        write_hex(&[u8::from(self.sampled)], &mut text[53..55]);
        Traceparent(text)
    }

    /// Reads a `traceparent` header by the rules of <https://www.w3.org/TR/trace-context/#traceparent-header-field-values>.
    ///
    /// A version above 00 is read as far as version 00 goes, as that text demands.
    ///
    /// # Errors
    /// A value that is malformed by that text; the caller then begins a trace of its own.
    pub fn parse(text: &str) -> Result<Self, TraceparentError> {
        let bytes = text.as_bytes();
        if bytes.len() < TRACEPARENT_LENGTH {
            return Err(TraceparentError::Length(bytes.len()));
        }
        let [version] = read_hex(&bytes[..2]).ok_or(TraceparentError::Version)?;
        match version {
            0xff => return Err(TraceparentError::Version),
            0 if bytes.len() > TRACEPARENT_LENGTH => {
                return Err(TraceparentError::Length(bytes.len()));
            }
            _ => {}
        }
        let separators = [2, 35, 52, TRACEPARENT_LENGTH];
        if separators
            .iter()
            .any(|&at| bytes.get(at).is_some_and(|&byte| byte != b'-'))
        {
            return Err(TraceparentError::Separator);
        }
        let trace_id =
            TraceId::from_bytes(read_hex(&bytes[3..35]).ok_or(TraceparentError::TraceId)?);
        let span_id = SpanId::from_bytes(read_hex(&bytes[36..52]).ok_or(TraceparentError::SpanId)?);
        let [flags] = read_hex(&bytes[53..55]).ok_or(TraceparentError::Flags)?;
        if trace_id == TraceId::INVALID {
            return Err(TraceparentError::TraceId);
        }
        if span_id == SpanId::INVALID {
            return Err(TraceparentError::SpanId);
        }
        Ok(Self {
            trace_id,
            span_id,
            sampled: flags & SAMPLED != 0,
        })
    }

    /// The SDK's form of it. What is exported is flagged as sampled, also where only a failure made us keep it.
    pub(super) fn exported(&self, remote: bool) -> SpanContext {
        let state = TraceState::default();
        SpanContext::new(
            self.trace_id,
            self.span_id,
            TraceFlags::SAMPLED,
            remote,
            state,
        )
    }
}

/// Text of a `traceparent` header, 55 bytes of ASCII on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traceparent([u8; TRACEPARENT_LENGTH]);

impl Traceparent {
    /// The text as bytes, as a Kafka header takes it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hex digits and dashes only, so this is always the whole text.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// Why a `traceparent` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceparentError {
    /// Too short, or longer than version 00 allows.
    #[error("traceparent has {0} bytes, expected {TRACEPARENT_LENGTH}")]
    Length(usize),
    /// Not two lower-case hex digits, or the forbidden `ff`.
    #[error("traceparent has an invalid version")]
    Version,
    /// A dash is missing where one must be.
    #[error("traceparent has its fields in the wrong places")]
    Separator,
    /// Not lower-case hex, or all zero.
    #[error("traceparent has an invalid trace id")]
    TraceId,
    /// Not lower-case hex, or all zero.
    #[error("traceparent has an invalid span id")]
    SpanId,
    /// Not two lower-case hex digits.
    #[error("traceparent has invalid flags")]
    Flags,
}

/// The share of traces that are sampled, 0 to 1; it may change while it is used.
#[derive(Debug)]
pub struct SamplingRatio {
    /// Bits of an `f64`.
    bits: AtomicU64,
}

impl SamplingRatio {
    /// Starts with `ratio`.
    #[must_use]
    pub fn new(ratio: Fraction) -> Self {
        Self {
            bits: AtomicU64::new(ratio.get().to_bits()),
        }
    }

    /// The share at the moment.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Relaxed))
    }

    /// Changes the share for traces that begin from now on.
    pub fn set(&self, ratio: Fraction) {
        self.bits.store(ratio.get().to_bits(), Ordering::Relaxed);
    }

    /// Decides by the trace id, exactly as the OpenTelemetry SDK's `TraceIdRatioBased` sampler does, so that services
    /// with the same ratio keep the same traces.
    #[must_use]
    pub fn samples(&self, trace_id: TraceId) -> bool {
        let ratio = self.get();
        if ratio >= 1.0 {
            return true;
        }
        let [_, _, _, _, _, _, _, _, low @ ..] = trace_id.to_bytes();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "the ratio is within 0 and 1, so the bound is within 0 and 2^63"
        )]
        let bound = (ratio * (1_u64 << 63) as f64) as u64;
        u64::from_be_bytes(low) >> 1 < bound
    }
}

fn random_trace_id() -> TraceId {
    TraceId::from(rand::rng().random_range(1..=u128::MAX))
}

fn random_span_id() -> SpanId {
    SpanId::from(rand::rng().random_range(1..=u64::MAX))
}

fn write_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0x0f)];
    }
}

/// Reads exactly `2 * N` lower-case hex digits.
fn read_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    fn digit(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        }
    }
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::SpanKind;
    use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _};
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn fraction(value: f64) -> Fraction {
        Fraction::try_from(value).unwrap()
    }

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let context = TraceContext::parse(EXAMPLE).unwrap();
        assert_eq!(
            context.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.sampled());
        assert_eq!(context.traceparent().as_str(), EXAMPLE);
        assert_eq!(context.traceparent().as_bytes(), EXAMPLE.as_bytes());
    }

    #[test]
    fn malformed_headers_are_refused() {
        use TraceparentError as E;
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (text, error) in [
            ("", E::Length(0)),
            (&EXAMPLE[..54], E::Length(54)),
            (&format!("{EXAMPLE}-00"), E::Length(58)),
            (&EXAMPLE.replacen("00", "ff", 1), E::Version),
            (&EXAMPLE.replacen("00", "0x", 1), E::Version),
            (&EXAMPLE.replacen('-', "_", 1), E::Separator),
            (
                &format!("{}.", EXAMPLE.replacen("00", "01", 1)),
                E::Separator,
            ),
            (&EXAMPLE.replace(id, &id.to_uppercase()), E::TraceId),
            (&EXAMPLE.replace(id, &"0".repeat(32)), E::TraceId),
            (
                &EXAMPLE.replace("00f067aa0ba902b7", "00f067aa0ba902bX"),
                E::SpanId,
            ),
            (
                &EXAMPLE.replace("00f067aa0ba902b7", "0000000000000000"),
                E::SpanId,
            ),
            (&format!("{}0g", &EXAMPLE[..53]), E::Flags),
            (&format!("{}é-{}", &EXAMPLE[..1], &EXAMPLE[4..]), E::Version),
        ] {
            assert_eq!(TraceContext::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = format!("{}-extra", EXAMPLE.replacen("00", "cc", 1));
        let context = TraceContext::parse(&later).unwrap();
        assert_eq!(context, TraceContext::parse(EXAMPLE).unwrap());
        assert_eq!(context.traceparent().as_str(), EXAMPLE);
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let root = TraceContext::new_root(true);
        let child = root.child();
        assert_eq!((child.trace_id(), child.sampled()), (root.trace_id(), true));
        assert_ne!(child.span_id(), root.span_id());
    }

    #[test]
    fn a_root_is_sampled_by_the_ratio_at_the_moment() {
        let ratio = SamplingRatio::new(fraction(0.0));
        assert!(!TraceContext::root(&ratio).sampled());
        ratio.set(fraction(1.0));
        assert!(TraceContext::root(&ratio).sampled());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            trace in 1_u128.., span in 1_u64.., sampled: bool
        ) {
            let context =
                TraceContext { trace_id: trace.into(), span_id: span.into(), sampled };
            prop_assert_eq!(TraceContext::parse(context.traceparent().as_str()), Ok(context));
        }

        #[test]
        fn no_text_is_taken_that_is_not_its_own_canonical_form(text in "\\PC{0,60}|0[01]-[0-9a-fA-F]{32}-[0-9a-f]{16}-0[01]") {
            if let Ok(context) = TraceContext::parse(&text) {
                let canonical = context.traceparent().to_string();
                prop_assert_eq!(&canonical[2..], &text[2..55]);
            }
        }

        #[test]
        fn the_decision_is_that_of_the_sdk(trace in 1_u128.., ratio in 0.0..=1.0_f64) {
            let theirs = Sampler::TraceIdRatioBased(ratio)
                .should_sample(None, trace.into(), "", &SpanKind::Producer, &[], &[])
                .decision;
            let ours = SamplingRatio::new(fraction(ratio)).samples(trace.into());
            prop_assert_eq!(ours, theirs == SamplingDecision::RecordAndSample);
        }
    }
}
