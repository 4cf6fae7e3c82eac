//! What names a span across processes: W3C Trace Context, level 2.

/// The trace, the span in it, and whether it is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// Of `trace-flags`: somebody records the trace.
const SAMPLED: u8 = 0x01;
/// Of `trace-flags`: the trace id is random enough to sample by (level 2, section 3.2.2.5.2).
const RANDOM: u8 = 0x02;
/// The length of version 00, which every later version begins like.
const LENGTH: usize = 55;

impl TraceContext {
    /// The span `span_id` of trace `trace_id`; `None` where one of them is 0, which means none.
    pub(super) const fn new(trace_id: u128, span_id: u64, sampled: bool) -> Option<Self> {
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self { trace_id, span_id, flags: if sampled { SAMPLED } else { 0 } })
    }

    /// A trace of its own.
    pub(super) fn root() -> Self {
        Self { trace_id: fastrand::u128(1..), span_id: fastrand::u64(1..), flags: RANDOM }
    }

    /// Another span in the same trace.
    pub(super) fn child(self) -> Self {
        Self { span_id: fastrand::u64(1..), flags: self.flags & RANDOM, ..self }
    }

    /// The same, recorded or not.
    pub(super) const fn sampled(self, sampled: bool) -> Self {
        let flags = self.flags & !SAMPLED;
        Self { flags: if sampled { flags | SAMPLED } else { flags }, ..self }
    }

    /// Whether it is recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The span.
    #[must_use]
    pub const fn span_id(self) -> u64 {
        self.span_id
    }

    /// `trace-flags` as OTLP takes them.
    #[must_use]
    pub const fn flags(self) -> u8 {
        self.flags
    }

    /// Reads `traceparent`; `None` where it is none. Of a version that is not known yet, the part that 00 knows counts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let (version, trace_id) = (hex(parts.next()?, 2)?, hex(parts.next()?, 32)?);
        let (span_id, flags) = (hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let context = Self::new(trace_id, u64::try_from(span_id).ok()?, false)?;
        let flags = u8::try_from(flags).ok()? & (SAMPLED | RANDOM);
        fits.then_some(Self { flags, ..context })
    }

    /// As `traceparent` says it, in version 00.
    #[must_use]
    pub fn header(self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// The number in `digits`, of which there are so many, in lower case.
pub(super) fn hex(digits: &str, length: usize) -> Option<u128> {
    let fits = digits.len() == length && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if fits { u128::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written_again() {
        for flags in ["00", "01", "02", "03"] {
            let text = format!("{}{flags}", &GOOD[..53]);
            let context = TraceContext::parse(&text).unwrap();
            assert_eq!(context.header(), text);
            assert_eq!(context.is_sampled(), flags.ends_with(['1', '3']));
        }
    }

    #[test]
    fn what_is_none_is_ignored() {
        let wrong = [
            String::new(),
            "x".to_owned(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            GOOD.to_uppercase(),
            GOOD.replacen("00-", "ff-", 1),
            GOOD.replacen("00-", "0g-", 1),
            GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace('-', "_"),
            GOOD.replace("-01", "ä1"),
            format!("cc{}.what", &GOOD[2..]),
        ];
        for text in wrong {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn versions_to_come_are_read_as_far_as_they_are_known() {
        for text in [format!("cc{}", &GOOD[2..]), format!("cc{}-what-comes", &GOOD[2..])] {
            assert_eq!(TraceContext::parse(&text), TraceContext::parse(GOOD), "{text}");
        }
        let unknown_flags = TraceContext::parse(&GOOD.replace("-01", "-ff")).unwrap();
        assert!(unknown_flags.header().ends_with("-03"), "flags without a meaning yet are not passed on");
    }

    #[test]
    fn a_child_is_another_span_of_the_trace() {
        let parent = TraceContext::parse(GOOD).unwrap();
        let child = parent.child();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert!(child.span_id() != parent.span_id() && !child.is_sampled());
        assert!(child.sampled(true).is_sampled() && !child.sampled(true).sampled(false).is_sampled());
        assert_ne!(TraceContext::root().trace_id(), TraceContext::root().trace_id());
    }
}
