//! The http sink against real sockets: what it sends, what it makes of answers, faults and TLS.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatepost::sink::{Delivered, Retry, Settings, SinkError, build};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::StatusCode;

use crate::support::dispatch_memory::event;
use crate::support::sink_upstream::{Reply, Upstream, attempt, nowhere, settings, settings_with};

async fn deliver(settings: &Settings) -> Result<Delivered, SinkError> {
    build(settings).ok().unwrap().deliver(&event("e1", b"{}"), attempt(1)).await
}

async fn answered(reply: Reply) -> Result<Delivered, Retry> {
    let upstream = Upstream::start(move |_, _| reply.clone());
    let result = deliver(&settings("http", &upstream.url())).await.map_err(|error| error.retry);
    assert_eq!(upstream.count(), 1);
    result
}

#[tokio::test]
async fn an_event_arrives_byte_for_byte_with_its_attributes_and_a_signature() {
    let upstream = Upstream::start(|_, _| Reply::status(204));
    let keys = "secret = { value = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }\ntoken = { value = 't0ken' }";
    let settings = settings_with("http", &format!("http://{}/events?a=1", upstream.address), keys);
    let body = b"{ \"caf\xc3\xa9\" : [1.0 ,2]}\n\n";
    let mut event = event("id é\"%", body);
    event.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    build(&settings).ok().unwrap().deliver(&event, attempt(1)).await.unwrap();

    let seen = upstream.seen().remove(0);
    assert_eq!(seen.line, "POST /events?a=1 HTTP/1.1");
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("ce-specversion"), Some("1.0"));
    assert_eq!(seen.header("ce-id"), Some("bot-a:id%20%C3%A9%22%25"));
    assert_eq!(seen.header("ce-source"), Some("/gatepost/bot-a"));
    assert_eq!(seen.header("ce-type"), Some("order.created"));
    assert_eq!(seen.header("ce-time"), Some("2026-01-02T03:04:05Z"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("traceparent"), event.traceparent.as_deref());
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));

    let id = seen.header("webhook-id").unwrap();
    let timestamp = seen.header("webhook-timestamp").unwrap();
    assert!(timestamp.parse::<u64>().is_ok());
    let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(signed).finalize().into_bytes();
    assert_eq!(seen.header("webhook-signature").unwrap(), format!("v1,{}", STANDARD.encode(mac)));
}

#[tokio::test]
async fn any_2xx_is_delivered_whatever_its_body() {
    assert_eq!(answered(Reply::status(200)).await, Ok(Delivered::Answered(StatusCode::OK)));
    assert_eq!(answered(Reply::status(204)).await, Ok(Delivered::Answered(StatusCode::NO_CONTENT)));
    assert_eq!(answered(Reply::Status(200, "", vec![b'x'; 10 << 20])).await, Ok(Delivered::Answered(StatusCode::OK)));
    assert_eq!(
        answered(Reply::Status(202, "Content-Type: text/plain\r\n", b"\xff\xfe error".to_vec())).await,
        Ok(Delivered::Answered(StatusCode::ACCEPTED))
    );
    assert_eq!(answered(Reply::Unfinished).await, Ok(Delivered::Answered(StatusCode::OK)));
}

#[tokio::test]
async fn answers_are_repeated_honoured_or_final() {
    for status in [408, 425, 429, 500, 503, 599] {
        assert_eq!(answered(Reply::status(status)).await, Err(Retry::Backoff), "{status}");
    }
    for status in [429, 503] {
        let reply = Reply::Status(status, "Retry-After: 5\r\n", Vec::new());
        assert_eq!(answered(reply).await, Err(Retry::After(Duration::from_secs(5))));
        let junk = Reply::Status(status, "Retry-After: in a while\r\n", Vec::new());
        assert_eq!(answered(junk).await, Err(Retry::Backoff));
    }
    for status in [304, 400, 401, 404, 410, 413, 422] {
        assert_eq!(answered(Reply::status(status)).await, Err(Retry::Never), "{status}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Upstream::start(|_, _| Reply::status(200));
    let location: &'static str = format!("Location: {}\r\n", target.url()).leak();
    for status in [301, 302, 303, 307, 308] {
        assert_eq!(answered(Reply::Status(status, location, Vec::new())).await, Err(Retry::Never));
    }
    assert_eq!(target.count(), 0);
}

#[tokio::test]
async fn network_faults_and_silence_are_repeated() {
    assert_eq!(answered(Reply::Cut).await, Err(Retry::Backoff));
    let error = deliver(&settings("http", &format!("http://{}/", nowhere()))).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff);
    assert!(error.message.contains("refused"), "{error}");
    let upstream = Upstream::start(|_, _| Reply::Stall);
    let mut settings = settings("http", &upstream.url());
    settings.timeout = Duration::from_millis(200);
    let error = deliver(&settings).await.unwrap_err();
    assert_eq!((error.message.as_str(), error.retry), ("no answer within 200ms", Retry::Backoff));
}

#[tokio::test]
async fn connections_are_reused() {
    let upstream = Upstream::start(|_, _| Reply::Status(200, "", b"ok".to_vec()));
    let sink = build(&settings("http", &upstream.url())).ok().unwrap();
    for _ in 0..20 {
        sink.deliver(&event("e", b"{}"), attempt(1)).await.unwrap();
    }
    assert_eq!((upstream.count(), upstream.connections.load(Ordering::SeqCst)), (20, 1));
}

#[tokio::test]
async fn tls_trusts_the_named_authorities_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    let upstream = Upstream::start_tls(&ca, |_, _| Reply::status(200));
    let _other = Upstream::start_tls(&other, |_, _| Reply::status(200));
    let trusting = |host: &str, ca: &Path| {
        let url = format!("https://{host}:{}/", upstream.address.port());
        settings_with("http", &url, &format!("ca_file = {:?}", ca.display().to_string()))
    };
    assert_eq!(deliver(&trusting("localhost", &ca)).await, Ok(Delivered::Answered(StatusCode::OK)));
    let error = deliver(&trusting("localhost", &other)).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff);
    assert!(error.message.contains("certificate"), "{error}");
    assert!(deliver(&trusting("127.0.0.2", &ca)).await.is_err());
}
