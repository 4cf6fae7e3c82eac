//! What the http sink's content modes make of an event, and the name of the key that verified it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatepost::sink::build;
use serde_json::Value;

use crate::support::dispatch_memory::event;
use crate::support::sink_upstream::{Received, Reply, Upstream, attempt, settings_with};
use crate::support::{Setup, Signer, accepted, eventually, sign, unique};

const SECRET: &str = "secret = { value = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }";
const BODY: &[u8] = b"{ \"n\": 1.0,  \"big\": 12345678901234567890123 }\n";

/// What arrives of an event with `body` of type `content_type`.
async fn sent(keys: &str, content_type: &str, body: &[u8]) -> Received {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let mut event = event("id 1", body);
    event.content_type = content_type.into();
    event.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    event.key = "tenant a".into();
    let settings = settings_with("http", &upstream.url(), keys);
    build(&settings).ok().unwrap().deliver(&event, attempt(1)).await.unwrap();
    upstream.seen().remove(0)
}

fn is_signed(request: &Received) -> bool {
    let header = |name: &str| request.header(name).unwrap().as_bytes();
    let content = [header("webhook-id"), b".", header("webhook-timestamp"), b".", &request.body].concat();
    let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    header("webhook-signature") == format!("v1,{}", STANDARD.encode(sign::mac(&key, &content))).as_bytes()
}

fn of_cloudevents(request: &Received) -> usize {
    request.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("ce-")).count()
}

#[tokio::test]
async fn binary_is_the_default_and_names_the_key() {
    for keys in ["", "content_mode = 'binary'"] {
        let seen = sent(keys, "application/json", BODY).await;
        assert_eq!((seen.body.as_slice(), of_cloudevents(&seen)), (BODY, 6));
        assert_eq!(seen.header("ce-gatepostkey"), Some("tenant%20a"));
    }
}

#[tokio::test]
async fn structured_is_one_json_object_that_is_signed_as_a_whole() {
    let seen = sent(&format!("content_mode = 'structured'\n{SECRET}"), "application/json", BODY).await;
    assert_eq!(seen.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(of_cloudevents(&seen), 0);
    assert!(is_signed(&seen));
    let text = std::str::from_utf8(&seen.body).unwrap();
    assert!(text.contains(r#""data":{ "n": 1.0,  "big": 12345678901234567890123 }"#), "{text}");
    let event: Value = serde_json::from_str(text).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], "bot-a:id 1");
    assert_eq!(event["source"], "/gatepost/bot-a");
    assert_eq!(event["type"], "order.created");
    assert_eq!(event["datacontenttype"], "application/json");
    assert_eq!(event["gatepostkey"], "tenant a");
    let seen = sent("content_mode = 'structured'", "text/xml", b"<a>\xff</a>").await;
    let event: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(event["data_base64"], STANDARD.encode(b"<a>\xff</a>"));
    assert_eq!(event["datacontenttype"], "text/xml");
}

#[tokio::test]
async fn raw_is_the_body_and_its_type_alone() {
    let seen = sent(&format!("content_mode = 'raw'\n{SECRET}"), "text/xml; charset=utf-8", b"<a>\xff</a>").await;
    assert_eq!(seen.body, b"<a>\xff</a>");
    assert_eq!(seen.header("content-type"), Some("text/xml; charset=utf-8"));
    assert_eq!(of_cloudevents(&seen), 0);
    assert!(is_signed(&seen));
}

#[test]
fn a_sink_gets_the_label_of_the_key_that_verified() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    let setup = Setup::new().preset("nice").replace("secrets = [{", "secrets = [{ label = \"tenant-a\",").block(&sink);
    let daemon = setup.start();
    accepted(&daemon.send(&Signer::of("nice").sign(crate::support::event(&unique()))));
    let seen = eventually("the delivery", || upstream.seen().pop());
    assert_eq!(seen.header("ce-gatepostkey"), Some("tenant-a"));
}
