//! The span that a request comes from, by what its sender says: `traceparent` with `tracestate`, else B3.

use http::HeaderMap;

use super::b3;
use super::context::TraceContext;
use super::header::only;

/// The most of `tracestate` that is kept: as much as everybody has to pass on (W3C Trace Context 3.3.1.5).
const STATE_BYTES: usize = 512;

/// A span of the sender's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parent {
    pub context: TraceContext,
    /// What others on the way said of the trace.
    pub state: Option<Box<str>>,
}

impl Parent {
    /// The one that `headers` name. A `traceparent` that is none is as if absent, and `tracestate` with it.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        match only(headers, "traceparent").and_then(TraceContext::parse) {
            Some(context) => Some(Self { context, state: state(headers) }),
            None => b3::parse(headers).map(|context| Self { context, state: None }),
        }
    }
}

/// Several headers are one list.
fn state(headers: &HeaderMap) -> Option<Box<str>> {
    let mut all = String::new();
    for value in headers.get_all("tracestate") {
        let value = value.to_str().ok()?.trim();
        if !all.is_empty() && !value.is_empty() {
            all.push(',');
        }
        all.push_str(value);
        if all.len() > STATE_BYTES {
            return None;
        }
    }
    (!all.is_empty()).then(|| all.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: (&str, &str) = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    const B3: (&str, &str) = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1");

    fn of(pairs: &[(&'static str, &str)]) -> Option<Parent> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Parent::of(&headers)
    }

    #[test]
    fn traceparent_wins_over_b3_where_it_is_one() {
        assert_eq!(of(&[PARENT, B3]).unwrap().context.header(), PARENT.1);
        let other = of(&[("traceparent", "00-what"), ("tracestate", "a=1"), B3]).unwrap();
        assert_eq!((other.context.span_id(), other.state), (0xe457_b5a2_e4d8_6bd1, None));
        assert_eq!(of(&[PARENT, PARENT]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn tracestate_is_kept_as_one_list() {
        let state = |pairs: &[(&'static str, &str)]| of(&[&[PARENT], pairs].concat()).unwrap().state;
        assert_eq!(state(&[("tracestate", "a=1, b=2"), ("tracestate", "c=3")]).as_deref(), Some("a=1, b=2,c=3"));
        assert_eq!(state(&[]), None);
        assert_eq!(state(&[("tracestate", &"x".repeat(STATE_BYTES + 1))]), None);
    }
}
