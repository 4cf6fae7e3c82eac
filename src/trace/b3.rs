//! The headers of B3 propagation: `b3`, or its older form in several.
//!
//! Source: `openzipkin/b3-propagation`. Trace ids of 64 bits are the lower half of one of 128.

use http::HeaderMap;

use super::context::{TraceContext, hex};
use super::header::only;

/// The span that the sender's headers name; `None` where they name none.
pub(super) fn parse(headers: &HeaderMap) -> Option<TraceContext> {
    match only(headers, "b3") {
        Some(text) => single(text),
        None => several(headers),
    }
}

/// `{trace id}-{span id}`, perhaps with `-{sampled}` and `-{parent id}` after it. The sampling state alone names no span.
fn single(text: &str) -> Option<TraceContext> {
    let mut parts = text.split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    context(trace, span, parts.next())
}

fn several(headers: &HeaderMap) -> Option<TraceContext> {
    let (trace, span) = (only(headers, "x-b3-traceid")?, only(headers, "x-b3-spanid")?);
    let debug = only(headers, "x-b3-flags").filter(|flags| *flags == "1").map(|_| "d");
    context(trace, span, debug.or_else(|| only(headers, "x-b3-sampled")))
}

/// Where nothing is said of sampling the decision is left to us: an edge that sees no reason to drop it records it.
fn context(trace: &str, span: &str, sampled: Option<&str>) -> Option<TraceContext> {
    let trace = match trace.len() {
        16 => hex(trace, 16)?,
        _ => hex(trace, 32)?,
    };
    let span = u64::try_from(hex(span, 16)?).ok()?;
    let sampled = match sampled {
        None | Some("1" | "d" | "true") => true,
        Some("0" | "false") => false,
        Some(_) => return None,
    };
    TraceContext::new(trace, span, sampled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        parse(&headers).map(TraceContext::header)
    }

    #[test]
    fn one_header_or_several_name_the_same_span() {
        let (sampled, not) = (
            Some("00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01".to_owned()),
            Some("00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00".to_owned()),
        );
        let ids = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1";
        for (rest, wanted) in [("", &sampled), ("-1", &sampled), ("-d", &sampled), ("-0", &not)] {
            let text: &'static str = format!("{ids}{rest}").leak();
            assert_eq!(&read(&[("b3", text)]), wanted, "{text}");
        }
        assert_eq!(read(&[("b3", format!("{ids}-1-05e3ac9a4f6e3b90").leak())]), sampled);
        let (trace, span) = (("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"), ("x-b3-spanid", "e457b5a2e4d86bd1"));
        assert_eq!(read(&[trace, span]), sampled);
        assert_eq!(read(&[trace, span, ("x-b3-sampled", "1")]), sampled);
        assert_eq!(read(&[trace, span, ("x-b3-sampled", "0")]), not);
        assert_eq!(read(&[trace, span, ("x-b3-sampled", "0"), ("x-b3-flags", "1")]), sampled);
        let short = read(&[("x-b3-traceid", "64fe8b2a57d3eff7"), span]);
        assert_eq!(short.as_deref(), Some("00-000000000000000064fe8b2a57d3eff7-e457b5a2e4d86bd1-01"));
    }

    #[test]
    fn what_names_no_span_is_ignored() {
        for text in ["", "0", "1", "x-y", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-x", "0-0-1"] {
            assert_eq!(read(&[("b3", text)]), None, "{text}");
        }
        assert_eq!(read(&[("x-b3-traceid", "64fe8b2a57d3eff7")]), None);
        let b3 = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1");
        assert_eq!(read(&[b3, b3]), None, "which of the two it is cannot be told");
    }
}
