//! What sinks get of the headers that a source keeps: under their own names, never in the place of ours.

use gatepost::event::{Event, KeptHeaders};
use gatepost::sink::build;
use serde_json::{Value, json};

use crate::support::dispatch_memory::event;
use crate::support::sink_upstream::{Received, Reply, Upstream, attempt, settings_with};

/// An event whose source kept `headers`.
pub(super) fn keeping(headers: &[(&str, &[u8])]) -> Event {
    let mut event = event("id 1", b"{}");
    event.headers = headers.iter().copied().collect();
    event.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    event
}

/// What arrives of `event` at an `http` sink.
async fn sent(keys: &str, event: &Event) -> Received {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    build(&settings_with("http", &upstream.url(), keys)).ok().unwrap().deliver(event, attempt(1)).await.unwrap();
    upstream.seen().remove(0)
}

/// The values of header `name`, in their order.
fn values<'a>(request: &'a Received, name: &str) -> Vec<&'a str> {
    let of_name = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    of_name.map(|(_, value)| value.as_str()).collect()
}

#[tokio::test]
async fn http_gets_each_under_its_name_in_binary_and_raw_mode() {
    let event =
        keeping(&[("x-type", b"page:update \"1\" 100%"), ("x-a", b"2"), ("x-a", b"1"), ("x-raw", b"Zo\xeb\t!")]);
    for keys in ["", "content_mode = 'raw'"] {
        let seen = sent(keys, &event).await;
        assert_eq!(values(&seen, "x-type"), ["page:update \"1\" 100%"]);
        assert_eq!(values(&seen, "x-a"), ["2", "1"]);
        // One character a byte.
        assert_eq!(values(&seen, "x-raw"), ["Zo\u{eb}\t!"]);
        assert_eq!((seen.body.as_slice(), seen.header("ce-gatepostheaders")), (b"{}".as_slice(), None));
    }
}

#[tokio::test]
async fn in_structured_mode_they_are_one_attribute_that_holds_json() {
    let event =
        keeping(&[("x-type", b"page:update"), ("x-a", "Zo\u{eb} \u{1f600}\u{ffff}\"".as_bytes()), ("x-a", b"\x80")]);
    let seen = sent("content_mode = 'structured'", &event).await;
    assert!(seen.header("x-type").is_none() && seen.header("x-a").is_none());
    let structured: Value = serde_json::from_slice(&seen.body).unwrap();
    let attribute = structured["gatepostheaders"].as_str().expect("a text, as attributes are");
    // CloudEvents 1.0.2, 3.1: no control characters and no noncharacters.
    assert!(attribute.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{attribute}");
    let expected = json!([["x-type", "page:update"], ["x-a", "Zo\u{eb} \u{1f600}\u{ffff}\""], ["x-a", "\u{80}"]]);
    assert_eq!(serde_json::from_str::<Value>(attribute).unwrap(), expected);
    let none: Value = serde_json::from_slice(&sent("content_mode = 'structured'", &keeping(&[])).await.body).unwrap();
    assert!(none.get("gatepostheaders").is_none());
}

#[tokio::test]
async fn a_sender_never_speaks_for_gatepost_the_connection_or_the_operator() {
    let taken = [
        "authorization",
        "ce-id",
        "ce-anything",
        "connection",
        "content-digest",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "webhook-id",
        "webhook-other",
        "webhook-signature",
        "x-own",
    ];
    let mut headers: Vec<(&str, &[u8])> = taken.iter().map(|name| (*name, b"of-the-sender".as_slice())).collect();
    headers.push(("x-last", b"comes"));
    let secret = "secret = { value = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }";
    let own = "headers = { X-Own = 'mine' }\ntoken = { value = 't0ken' }";
    for keys in [own.to_owned(), format!("{own}\n{secret}"), format!("{own}\ncontent_mode = 'raw'")] {
        let seen = sent(&keys, &keeping(&headers)).await;
        let theirs: Vec<_> = seen.headers.iter().filter(|(_, value)| value == "of-the-sender").collect();
        assert!(theirs.is_empty(), "{theirs:?}");
        assert_eq!((seen.header("x-own"), seen.header("x-last")), (Some("mine"), Some("comes")));
        assert_eq!((seen.header("authorization"), seen.body.as_slice()), (Some("Bearer t0ken"), b"{}".as_slice()));
    }
}

#[tokio::test]
async fn nothing_ends_a_line_or_a_head_even_from_a_damaged_store() {
    let mut event = keeping(&[]);
    let damaged = b"\nx-a: a\rx-evil: 1\nx-b\r: b\nx c: c\nx-\xc3\xa9: d\n: e\nx-d: \x00\nx-e: \x7f\nx-last: comes\n";
    event.headers = KeptHeaders::from_stored(Some(damaged.to_vec()));
    let seen = sent("", &event).await;
    let theirs: Vec<_> = seen.headers.iter().filter(|(name, _)| name.starts_with('x')).collect();
    assert_eq!(theirs, [&("x-last".to_owned(), "comes".to_owned())]);
    assert_eq!(seen.body, b"{}");
}
