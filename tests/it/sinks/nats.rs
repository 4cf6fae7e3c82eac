//! The nats sink against the real nats-server: acknowledgement, headers, deduplication, outages.
#![cfg(feature = "nats")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream;
use futures_util::StreamExt as _;
use gatepost::event::KeptHeaders;
use gatepost::sink::{Attempt, Delivered, Retry, build};
use serde_json::Value;
use tempfile::TempDir;

use super::kept_headers::keeping;
use crate::support::dispatch_memory::event;
use crate::support::sink_upstream::{attempt, nowhere, settings, settings_with};
use crate::support::{self, Setup, Signer, unique};

/// A server with its store in a folder of its own; both go when it is dropped.
struct Server {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Server {
    fn start(authorization: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port, tempfile::tempdir().unwrap(), authorization)
    }

    fn start_at(port: u16, folder: TempDir, authorization: &str) -> Self {
        let config = folder.path().join("nats.conf");
        let store = folder.path().join("jetstream");
        let text = format!(
            "listen: 127.0.0.1:{port}\nmax_payload: 64KB\njetstream {{ store_dir: {:?} }}\n{authorization}\n",
            store.display().to_string()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server must be installed (Debian package nats-server)");
        Self { child, folder, port }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A context of our own, once the server is up.
    async fn context(&self, options: async_nats::ConnectOptions) -> jetstream::Context {
        let client = options.retry_on_initial_connect().connect(self.url()).await.unwrap();
        let context = jetstream::new(client);
        crate::support::dispatch_memory::eventually("a connection", || {
            context.client().connection_state() == async_nats::connection::State::Connected
        })
        .await;
        context
    }

    fn stop(mut self) -> (u16, TempDir) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (self.port, folder)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn stream(context: &jetstream::Context) -> jetstream::stream::Stream {
    let config =
        jetstream::stream::Config { name: "events".into(), subjects: vec!["gatepost.>".into()], ..Default::default() };
    context.create_stream(config).await.unwrap()
}

#[tokio::test]
async fn an_event_is_stored_once_with_its_attributes() {
    let server = Server::start("");
    let stream = stream(&server.context(async_nats::ConnectOptions::new()).await).await;
    let sink = build(&settings("nats", &server.url())).ok().unwrap();
    let mut sent = event("id 1", b"{ \"a\": 1 }");
    sent.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    assert_eq!(sink.deliver(&sent, attempt(1)).await, Ok(Delivered::New));
    assert_eq!(sink.deliver(&sent, attempt(2)).await, Ok(Delivered::Duplicate), "as after a lost acknowledgement");
    sink.deliver(&event("id 2", b"{}"), attempt(1)).await.unwrap();
    assert_eq!(stream.get_info().await.unwrap().state.messages, 2);
    let message = stream.get_raw_message(1).await.unwrap();
    assert_eq!(message.subject.as_str(), "gatepost.bot-a");
    assert_eq!(&message.payload[..], b"{ \"a\": 1 }");
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("Nats-Msg-Id").as_deref(), Some("bot-a:id%201"));
    assert_eq!(header("ce-id").as_deref(), Some("bot-a:id%201"));
    assert_eq!(header("ce-source").as_deref(), Some("/gatepost/bot-a"));
    assert_eq!(header("ce-specversion").as_deref(), Some("1.0"));
    assert_eq!(header("ce-type").as_deref(), Some("order.created"));
    assert_eq!(header("ce-time").as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    assert_eq!(header("traceparent"), sent.traceparent);
}

#[tokio::test]
async fn kept_headers_come_under_their_names_and_never_in_the_place_of_ours() {
    let server = Server::start("");
    let context = server.context(async_nats::ConnectOptions::new()).await;
    stream(&context).await;
    let mut published = context.client().subscribe("gatepost.>").await.unwrap();
    let sink = build(&settings("nats", &server.url())).ok().unwrap();
    let ours = ["nats-msg-id", "nats-expected-stream", "ce-id", "ce-other", "content-type", "traceparent"];
    let mut headers: Vec<(&str, &[u8])> = ours.iter().map(|name| (*name, b"of-the-sender".as_slice())).collect();
    headers.extend([("x-a", b"2".as_slice()), ("x-a", b"page:update \"1\"")]);
    headers.extend([("x-b", b"Zo\xeb".as_slice()), ("x-c", b"Zo\xc3\xab")]);
    sink.deliver(&keeping(&headers), attempt(1)).await.unwrap();
    let seen = published.next().await.unwrap().headers.unwrap();
    let all = |name: &str| seen.get_all(name).map(|value| value.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(all("x-a"), ["2", "page:update \"1\""]);
    assert_eq!((all("x-b"), all("x-c")), (vec!["Zo\u{eb}".to_owned()], vec!["Zo\u{eb}".to_owned()]));
    assert_eq!(all("Nats-Msg-Id"), ["bot-a:id%201"]);
    let theirs = seen.iter().flat_map(|(_, values)| values).filter(|value| value.as_str() == "of-the-sender");
    assert_eq!(theirs.count(), 0);

    let mut event = event("id 2", b"{}");
    event.headers = KeptHeaders::from_stored(Some(b"\nx-a: a\rx-evil: 1\nx-b\r: b\nx-last: comes\n".to_vec()));
    sink.deliver(&event, attempt(1)).await.unwrap();
    let message = published.next().await.unwrap();
    let names = message.headers.iter().flat_map(async_nats::HeaderMap::iter).map(|(name, _)| name.to_string());
    assert_eq!(names.filter(|name| name.starts_with('x')).collect::<Vec<_>>(), ["x-last"]);
    assert_eq!(&message.payload[..], b"{}");
}

#[tokio::test]
async fn what_nobody_stores_is_repeated_and_what_is_too_large_is_refused() {
    let server = Server::start("authorization { token: \"s3cret-token\" }");
    let context = server.context(async_nats::ConnectOptions::new().token("s3cret-token".into())).await;
    let denied = build(&settings("nats", &server.url()))
        .ok()
        .unwrap()
        .deliver(&event("e", b"{}"), attempt(1))
        .await
        .unwrap_err();
    assert_eq!(denied.retry, Retry::Backoff);
    let keys = "token = { value = 's3cret-token' }\nsubject = 'gatepost.orders'";
    let sink = build(&settings_with("nats", &server.url(), keys)).ok().unwrap();
    let error = sink.deliver(&event("e", b"{}"), attempt(1)).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff);
    let stream = stream(&context).await;
    sink.deliver(&event("e", b"{}"), attempt(2)).await.unwrap();
    assert_eq!(stream.get_raw_message(1).await.unwrap().subject.as_str(), "gatepost.orders");
    let error = sink.deliver(&event("large", &vec![b'x'; 70_000]), attempt(1)).await.unwrap_err();
    assert_eq!(error.retry, Retry::Never, "{error}");
}

#[tokio::test]
async fn a_replay_is_stored_again_and_no_other_event_is_taken_for_it() {
    let server = Server::start("");
    let stream = stream(&server.context(async_nats::ConnectOptions::new()).await).await;
    let sink = build(&settings("nats", &server.url())).ok().unwrap();
    let replay = |replay| Attempt { number: 1, replay };
    for (id, attempt, expected) in [
        ("e", replay(0), Delivered::New),
        ("e", replay(1), Delivered::New),
        ("e", replay(1), Delivered::Duplicate),
        ("e#1", replay(0), Delivered::New),
        ("e", replay(2), Delivered::New),
    ] {
        assert_eq!(sink.deliver(&event(id, b"{}"), attempt).await, Ok(expected), "{id} {attempt:?}");
    }
    let mut ids = Vec::new();
    for number in 1..=4 {
        let headers = stream.get_raw_message(number).await.unwrap().headers;
        let header = |name: &str| headers.get(name).unwrap().as_str().to_owned();
        ids.push((header("Nats-Msg-Id"), header("ce-id")));
    }
    let pair = |key: &str, id: &str| (key.to_owned(), id.to_owned());
    let expected = [
        pair("bot-a:e", "bot-a:e"),
        pair("bot-a:e#1", "bot-a:e"),
        pair("bot-a:e#1#0", "bot-a:e#1"),
        pair("bot-a:e#2", "bot-a:e"),
    ];
    assert_eq!(ids, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_by_an_operator_arrives_and_a_duplicate_is_shown() {
    let server = Server::start("");
    let context = server.context(async_nats::ConnectOptions::new()).await;
    let mut stream = stream(&context).await;
    let (fresh, known) = (unique(), unique());
    // What an earlier attempt would leave whose acknowledgement was lost.
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("nice:{known}"));
    context.publish_with_headers("gatepost.nice", headers, "{}".into()).await.unwrap().await.unwrap();
    let sink = format!("[[sink]]\nname = \"bus\"\ntype = \"nats\"\nurl = \"{}\"\n", server.url());
    let setup = Setup::new().preset("nice").block(&sink);
    let daemon = setup.start();
    let shown = |id: &str| {
        let output = setup.run(&["events", "show", id, "--json"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["deliveries"][0].clone()
    };
    let delivered = |id: &str, replays: u64| {
        support::eventually("delivered", || {
            let shown = shown(id);
            (shown["state"] == "delivered" && shown["replays"] == replays).then_some(shown)
        })
    };
    for id in [&fresh, &known] {
        assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(id))).status, 200);
    }
    assert_eq!(delivered(&fresh, 0)["duplicate"], false);
    assert_eq!(delivered(&known, 0)["duplicate"], true);
    let human = setup.run(&["events", "show", &known]).stdout;
    assert!(String::from_utf8(human).unwrap().contains("delivered (duplicate)"));
    assert_eq!(stream.info().await.unwrap().state.messages, 2, "NATS kept one of each");

    for (id, replays) in [(&fresh, 1), (&fresh, 2), (&known, 1)] {
        assert!(setup.run(&["events", "replay", id]).status.success());
        assert_eq!(delivered(id, replays)["duplicate"], false);
    }
    let mut ids = Vec::new();
    for number in 3..=5 {
        let message = stream.get_raw_message(number).await.unwrap();
        ids.push(message.headers.get("Nats-Msg-Id").unwrap().as_str().to_owned());
        assert!(
            [&fresh, &known].iter().any(|id| message.headers.get("ce-id").unwrap().as_str() == format!("nice:{id}"))
        );
    }
    assert_eq!(ids, [format!("nice:{fresh}#1"), format!("nice:{fresh}#2"), format!("nice:{known}#1")]);
}

#[tokio::test]
async fn user_and_password_of_the_url_are_sent() {
    let server = Server::start("authorization { user: \"us er\", password: \"p@ss/w%rd\" }");
    let own = async_nats::ConnectOptions::new().user_and_password("us er".into(), "p@ss/w%rd".into());
    let stream = stream(&server.context(own).await).await;
    let place = format!("127.0.0.1:{}", server.port);
    for (url, taken) in [
        (format!("nats://us%20er:p%40ss%2Fw%25rd@{place}"), true),
        (format!("nats://{},nats://us%20er:p%40ss%2Fw%25rd@{place}", nowhere()), true),
        (format!("nats://us%20er:wrong@{place}"), false),
        (format!("nats://{place}"), false),
    ] {
        let result = build(&settings("nats", &url)).ok().unwrap().deliver(&event(&url, b"{}"), attempt(1)).await;
        assert_eq!(result.is_ok(), taken, "{url}: {result:?}");
    }
    assert_eq!(stream.get_info().await.unwrap().state.messages, 2);
}

#[tokio::test]
async fn a_user_alone_in_the_url_is_a_token() {
    let server = Server::start("authorization { token: \"s3cret token\" }");
    stream(&server.context(async_nats::ConnectOptions::new().token("s3cret token".into())).await).await;
    let url = format!("nats://s3cret%20token@127.0.0.1:{}", server.port);
    build(&settings("nats", &url)).ok().unwrap().deliver(&event("e", b"{}"), attempt(1)).await.unwrap();
}

#[test]
fn a_password_of_the_url_is_neither_logged_nor_shown() {
    let server = Server::start("authorization { user: \"us\", password: \"hunter2hunter2\" }");
    let url = format!("nats://us:hunter2hunter2@127.0.0.1:{}", server.port);
    let sink = format!("[[sink]]\nname = \"bus\"\ntype = \"nats\"\nurl = \"{url}\"\n");
    let setup = Setup::new().preset("nice").block(&sink).set("log", "filter", "\"trace\"");
    let daemon = setup.start();
    assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(&unique()))).status, 200);
    // There is no stream: that it is asked for one shows that we got in.
    support::eventually("an answer", || daemon.out().contains("no stream found").then_some(()));
    let output = setup.run(&["check"]);
    let said = format!("{}{}{output:?}", daemon.out(), daemon.err());
    assert!(output.status.success() && !said.contains("hunter2"), "{:?}", said.lines().find(|l| l.contains("hunter2")));
    assert!(said.contains("nats://[redacted]@127.0.0.1"), "{output:?}");
}

#[tokio::test]
async fn an_outage_is_a_fault_that_passes() {
    let server = Server::start("");
    stream(&server.context(async_nats::ConnectOptions::new()).await).await;
    let mut settings = settings("nats", &server.url());
    settings.timeout = Duration::from_secs(2);
    let sink = build(&settings).ok().unwrap();
    sink.deliver(&event("before", b"{}"), attempt(1)).await.unwrap();
    let (port, folder) = server.stop();
    assert_eq!(sink.deliver(&event("during", b"{}"), attempt(1)).await.unwrap_err().retry, Retry::Backoff);
    let fresh = build(&settings).ok().unwrap();
    assert_eq!(fresh.deliver(&event("during", b"{}"), attempt(1)).await.unwrap_err().retry, Retry::Backoff);
    let server = Server::start_at(port, folder, "");
    let context = server.context(async_nats::ConnectOptions::new()).await;
    for sink in [&sink, &fresh] {
        let mut number = 2;
        while sink.deliver(&event("during", b"{}"), attempt(number)).await.is_err() {
            number += 1;
            assert!(number < 200, "never reconnected");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(context.get_stream("events").await.unwrap().get_info().await.unwrap().state.messages, 2);
}
