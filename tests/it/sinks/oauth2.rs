//! Tokens of the http sink by OAuth 2.0 client credentials, against a token endpoint and a sink that knows its tokens.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatepost::sink::{Retry, Settings, Sink, SinkError, build};

use crate::support::dispatch_memory::event;
use crate::support::sink_upstream::{Received, Reply, Upstream, attempt, settings_with};
use crate::support::{Daemon, Setup, Signer, accepted, eventually, unique};

const SECRET: &str = "s3cret:+/ä";

/// Gives the tokens `t0`, `t1` …, each for `seconds`.
fn endpoint(seconds: &'static str) -> Upstream {
    Upstream::start(move |number, _| granted(number, seconds))
}

fn granted(number: usize, seconds: &str) -> Reply {
    let body = format!(r#"{{"access_token":"t{number}","token_type":"Bearer"{seconds}}}"#);
    Reply::Status(200, "Content-Type: application/json\r\n", body.into_bytes())
}

/// Takes the token that `valid` holds, and counts what it refuses.
fn sink_that_takes(valid: &Arc<Mutex<&'static str>>) -> (Upstream, Arc<AtomicUsize>) {
    let (valid, refused) = (Arc::clone(valid), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&refused);
    let upstream = Upstream::start(move |_, request| {
        if request.header("authorization") == Some(&format!("Bearer {}", valid.lock().unwrap())) {
            return Reply::status(200);
        }
        count.fetch_add(1, Ordering::SeqCst);
        Reply::status(401)
    });
    (upstream, refused)
}

fn keys(endpoint: &Upstream) -> String {
    format!(
        "oauth2 = {{ token_url = 'http://{}/token?x=1', client_id = 'gate post', client_secret = {{ value = '{SECRET}' }}, \
         scope = 'events:write b' }}",
        endpoint.address
    )
}

fn settings(sink: &Upstream, endpoint: &Upstream) -> Settings {
    settings_with("http", &sink.url(), &keys(endpoint))
}

async fn deliver(sink: &Arc<dyn Sink>) -> Result<(), SinkError> {
    sink.deliver(&event("e1", b"{}"), attempt(1)).await.map(|_| ())
}

fn tokens(sink: &Upstream) -> Vec<String> {
    let token = |request: &Received| request.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned();
    sink.seen().iter().map(token).collect()
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_sent_with_every_event() {
    let endpoint = endpoint(r#","expires_in":3600"#);
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let sink = build(&settings(&upstream, &endpoint)).ok().unwrap();
    let all = (0..16).map(|_| deliver(&sink));
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(tokens(&upstream), vec!["t0"; 16]);
    assert_eq!(endpoint.count(), 1);
    let asked = endpoint.seen().remove(0);
    assert_eq!(asked.line, "POST /token?x=1 HTTP/1.1");
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.body, b"grant_type=client_credentials&scope=events%3Awrite+b");
    // printf 'gate+post:s3cret%%3A%%2B%%2F%%C3%%A4' | base64
    let basic = "Basic Z2F0ZStwb3N0OnMzY3JldCUzQSUyQiUyRiVDMyVBNA==";
    assert_eq!(asked.header("authorization"), Some(basic));
    assert!(asked.header("ce-id").is_none());
}

#[tokio::test]
async fn a_token_that_the_sink_refuses_is_replaced_once_for_all_deliveries() {
    let valid = Arc::new(Mutex::new("t0"));
    let (endpoint, (upstream, refused)) = (endpoint(""), sink_that_takes(&valid));
    let sink = build(&settings(&upstream, &endpoint)).ok().unwrap();
    deliver(&sink).await.unwrap();
    *valid.lock().unwrap() = "t1";
    let all = (0..8).map(|_| deliver(&sink));
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(endpoint.count(), 2);
    assert!(refused.load(Ordering::SeqCst) <= 8);
    // And again, after that one has been taken.
    *valid.lock().unwrap() = "t2";
    deliver(&sink).await.unwrap();
    assert_eq!(endpoint.count(), 3);
}

#[tokio::test]
async fn a_sink_that_takes_no_token_is_final_and_does_not_make_us_ask_on_and_on() {
    let valid = Arc::new(Mutex::new("none of them"));
    let (endpoint, (upstream, refused)) = (endpoint(""), sink_that_takes(&valid));
    let sink = build(&settings(&upstream, &endpoint)).ok().unwrap();
    let error = deliver(&sink).await.unwrap_err();
    assert_eq!((error.message.as_str(), error.retry), ("answered 401 Unauthorized", Retry::Never));
    assert_eq!((endpoint.count(), refused.load(Ordering::SeqCst)), (2, 2));
    for _ in 0..5 {
        assert_eq!(deliver(&sink).await.unwrap_err().retry, Retry::Never);
    }
    assert_eq!((endpoint.count(), refused.load(Ordering::SeqCst)), (2, 7));
    *valid.lock().unwrap() = "t1";
    deliver(&sink).await.unwrap();
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_nobody_waits_for_that() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let arrived = Arc::clone(&upstream.received);
    // The second token is given once another event has arrived with the first one.
    let endpoint = Upstream::start(move |number, _| {
        let before = arrived.lock().unwrap().len();
        while number == 1 && arrived.lock().unwrap().len() <= before + 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        granted(number, if number == 0 { r#","expires_in":5"# } else { r#","expires_in":3600"# })
    });
    let sink = build(&settings(&upstream, &endpoint)).ok().unwrap();
    loop {
        deliver(&sink).await.unwrap();
        if tokens(&upstream).last().unwrap() == "t1" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(endpoint.count(), 2);
    assert!(tokens(&upstream).is_sorted());
}

#[tokio::test]
async fn what_is_wrong_at_the_token_endpoint_is_said_and_tried_again() {
    let answers = [
        (Reply::status(500), "answered 500 Internal Server Error", Retry::Backoff),
        (
            Reply::Status(401, "", br#"{"error":"invalid_client","error_description":"s3cret"}"#.to_vec()),
            "answered 401 Unauthorized (invalid_client)",
            Retry::Backoff,
        ),
        (Reply::Status(400, "", br#"{"error":"s3cret:+/"}"#.to_vec()), "answered 400 Bad Request", Retry::Backoff),
        (
            Reply::Status(429, "Retry-After: 7\r\n", Vec::new()),
            "answered 429 Too Many Requests",
            Retry::After(Duration::from_secs(7)),
        ),
        (
            Reply::Status(200, "", b"<html>s3cret</html>".to_vec()),
            "its answer is not a JSON object with `access_token`",
            Retry::Backoff,
        ),
        (
            Reply::Status(200, "", br#"{"access_token":"a\nb"}"#.to_vec()),
            "it gave a token that cannot stand in a header",
            Retry::Backoff,
        ),
        (
            Reply::Status(200, "", br#"{"access_token":"a","token_type":"DPoP"}"#.to_vec()),
            "it gave a token that is not of type Bearer",
            Retry::Backoff,
        ),
        (Reply::Status(302, "Location: /\r\n", Vec::new()), "answered 302 Found", Retry::Backoff),
    ];
    for (reply, problem, retry) in answers {
        let endpoint = Upstream::start(move |_, _| reply.clone());
        let upstream = Upstream::start(|_, _| Reply::status(200));
        let error = deliver(&build(&settings(&upstream, &endpoint)).ok().unwrap()).await.unwrap_err();
        let expected = format!("no access token from {}: {problem}", endpoint.address);
        assert!(error.message.starts_with(&expected), "{error}");
        assert!(!error.message.contains("s3cret"), "{error}");
        assert_eq!((error.retry, upstream.count()), (retry, 0), "{error}");
    }
    let endpoint = Upstream::start(|_, _| Reply::Stall);
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let mut settings = settings(&upstream, &endpoint);
    settings.timeout = Duration::from_millis(200);
    let error = deliver(&build(&settings).ok().unwrap()).await.unwrap_err();
    assert!(error.message.ends_with(": no answer within 200ms") && error.retry == Retry::Backoff, "{error}");
}

#[test]
fn what_is_missing_or_cannot_be_sent_is_refused_at_its_key() {
    let good = "token_url = \"https://id/t\", client_id = \"a\", client_secret = { value = \"s\" }";
    for (table, line) in [
        ("", "sink[0].oauth2.token_url: is missing"),
        ("", "sink[0].oauth2.client_id: is missing"),
        ("", "sink[0].oauth2.client_secret: is missing"),
        (&good.replace("https", "ftp"), "sink[0].oauth2.token_url: must begin with https://"),
        (&good.replace("\"a\"", "\"\""), "sink[0].oauth2.client_id: expected printable ASCII"),
        (&good.replace("\"a\"", "\"ä\""), "sink[0].oauth2.client_id: expected printable ASCII"),
        (&good.replace("{ value = \"s\" }", "\"s\""), "sink[0].oauth2.client_secret: a secret does not stand"),
        (&format!("{good}, scope = \"a  b\""), "sink[0].oauth2.scope: expected scopes"),
        (&format!("{good}, scopes = \"a\""), "sink[0].oauth2.scopes: unknown key"),
    ] {
        let sink = format!("[[sink]]\nname = \"o\"\ntype = \"http\"\nurl = \"https://h/\"\noauth2 = {{ {table} }}\n");
        let output = Setup::new().preset("nice").block(&sink).run(&["check"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(line), "{line}\n{text}");
    }
}

/// Sends an event and waits until it is delivered.
fn arrives(daemon: &Daemon, upstream: &Upstream) -> Received {
    let before = upstream.count();
    accepted(&daemon.send(&Signer::of("nice").sign(crate::support::event(&unique()))));
    eventually("the delivery", || upstream.seen().get(before).cloned())
}

#[test]
fn a_client_secret_that_is_rotated_asks_for_the_next_token_and_no_log_holds_either() {
    let endpoint = endpoint(r#","expires_in":3600"#);
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = Setup::new().preset("nice");
    let file = setup.write("client", "hunter2-one");
    let sink = format!(
        "[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\noauth2 = {{ token_url = \"http://{}/\", \
         client_id = \"gatepost\", client_secret = {{ file = {file} }} }}\n",
        upstream.url(),
        endpoint.address
    );
    let setup = setup.block(&sink);
    let daemon = setup.start();
    assert_eq!(arrives(&daemon, &upstream).header("authorization"), Some("Bearer t0"));
    setup.write("client", "hunter2-two");
    assert_eq!(daemon.reload(&setup), "secrets of sink orders changed");
    assert_eq!(arrives(&daemon, &upstream).header("authorization"), Some("Bearer t1"));
    let checked = setup.run(&["check"]);
    for text in [daemon.out(), String::from_utf8(checked.stdout).unwrap()] {
        assert!(!text.contains("hunter2") && !text.contains("Bearer t"), "{text}");
    }
}

#[tokio::test]
async fn the_token_endpoint_is_trusted_by_the_same_authorities() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["one.pem", "other.pem", "both.pem"].map(|name| folder.path().join(name));
    let endpoint = Upstream::start_tls(&files[0], |number, _| granted(number, ""));
    let upstream = Upstream::start_tls(&files[1], |_, _| Reply::status(200));
    let both = [&files[0], &files[1]].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    std::fs::write(&files[2], both).unwrap();
    let trusting = |file: &Path| {
        let keys = keys(&endpoint).replace("http://127.0.0.1", "https://localhost");
        let keys = format!("{keys}\nca_file = {:?}", file.display().to_string());
        build(&settings_with("http", &format!("https://localhost:{}/", upstream.address.port()), &keys)).ok().unwrap()
    };
    let error = deliver(&trusting(&files[1])).await.unwrap_err();
    assert!(
        error.message.starts_with("no access token from localhost:") && error.message.contains("certificate"),
        "{error}"
    );
    assert_eq!((endpoint.count(), upstream.count()), (0, 0));
    deliver(&trusting(&files[2])).await.unwrap();
    assert_eq!(tokens(&upstream), ["t0"]);
}

#[tokio::test]
async fn tokens_are_asked_for_through_the_same_proxy() {
    let proxy = Upstream::start(|number, request| {
        if request.line.starts_with("POST http://id.invalid/token ") { granted(number, "") } else { Reply::status(200) }
    });
    let keys = "oauth2 = { token_url = 'http://id.invalid/token', client_id = 'a', client_secret = { value = 's' } }";
    let keys = format!("{keys}\nproxy = 'http://{}'", proxy.address);
    deliver(&build(&settings_with("http", "http://orders.invalid/events", &keys)).ok().unwrap()).await.unwrap();
    let seen = proxy.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].line, "POST http://orders.invalid/events HTTP/1.1");
    assert_eq!(seen[1].header("authorization"), Some("Bearer t0"));
}

#[test]
fn a_secret_that_goes_over_an_open_wire_is_warned_about() {
    let sink = "[[sink]]\nname = \"o\"\ntype = \"http\"\nurl = \"https://h/\"\noauth2 = { token_url = \"http://id/\", \
        client_id = \"a\", client_secret = { value = \"hunter2\" } }\n";
    let output = Setup::new().preset("nice").block(sink).run(&["check"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{text}");
    let warning = "sink[0].oauth2.token_url: the client's secret and tokens go to another machine over http://";
    assert!(text.contains(warning) && !text.contains("hunter2"), "{text}");
    assert!(
        text.contains(
            "oauth2 = { token_url = \"http://id/\", client_id = \"a\", client_secret = \"[redacted] from value"
        ),
        "{text}"
    );
}
