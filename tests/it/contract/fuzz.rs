//! Drawn input against the running program: whatever is sent, it answers as another parser would, or closes, and
//! serves on. `IT_FUZZ_CASES` raises how much is drawn, for a long night.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::support::{Conn, Daemon, Request, Setup, Signer, event, eventually, now, unique};

fn runner() -> TestRunner {
    let cases = std::env::var("IT_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// Asks over one connection that is opened again whenever the program closed it.
struct Asker<'a> {
    daemon: &'a Daemon,
    conn: RefCell<Conn>,
}

impl<'a> Asker<'a> {
    fn new(daemon: &'a Daemon) -> Self {
        Self { daemon, conn: RefCell::new(daemon.connect()) }
    }

    fn ask(&self, request: &Request) -> (u16, String) {
        let mut conn = self.conn.borrow_mut();
        let response = conn.try_ask(request).unwrap_or_else(|| {
            *conn = self.daemon.connect();
            conn.ask(request)
        });
        (response.status, response.reason())
    }
}

/// Pieces that JSON is made of, whole and broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 34] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"\"a\"",
        b"\"eventId\"",
        b"\"event\\u0049d\"",
        b"\"",
        b"\\",
        b"\\u",
        b"d83d",
        b"\\ude00",
        b"\\ud800",
        b"1",
        b"-",
        b"0",
        b".5",
        b"e3",
        b"true",
        b"null",
        b"fals",
        b" ",
        b"\t",
        b"\n",
        b"\0",
        b"\xc3\xa9",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\x7f",
        b"\"eventId\":\"x\"",
        b"\"b\":[{}]",
    ];
    let inside = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..10);
    (any::<bool>(), inside).prop_map(|(braces, inside)| {
        let inside = inside.concat();
        if braces { [b"{", &inside[..], b"}"].concat() } else { inside }
    })
}

/// A valid object with one byte changed, left out or put in.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8).prop_map(|(at, byte, how)| {
        let mut body =
            br#"{"n":1.5e-3,"eventId":"a-\u00e9\n","d":[{"x":"\ud83d\ude00"},[true,null,-0]],"t":"\\"}"#.to_vec();
        let at = at.index(body.len());
        match how {
            0 => body[at] = byte,
            1 => drop(body.remove(at)),
            2 => body.insert(at, byte),
            _ => body.truncate(at),
        }
        body
    })
}

#[test]
fn json_is_taken_exactly_where_another_parser_finds_an_object() {
    let daemon = Setup::new().preset("nice").start();
    let asker = Asker::new(&daemon);
    let bodies = prop_oneof![pieces(), nearly(), prop::collection::vec(any::<u8>(), 0..40)];
    let checked = runner().run(&bodies, |body| {
        let parsed = serde_json::from_slice::<Value>(&body);
        if parsed.as_ref().is_err_and(|error| error.to_string().contains("out of range")) {
            // A matter of that parser's number type, not of the grammar.
            return Ok(());
        }
        let (status, reason) = asker.ask(&Signer::of("nice").sign(&body));
        let object = parsed.is_ok_and(|value| value.is_object());
        let shown = String::from_utf8_lossy(&body);
        prop_assert!(status == 200 || status == 400, "{shown:?}: {status} {reason}");
        prop_assert_eq!(reason != "invalid_json", object, "{:?}: {} {}", shown, status, reason);
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn no_signature_header_is_believed_by_chance() {
    let daemon = Setup::every_preset().start();
    let asker = Asker::new(&daemon);
    let text = prop_oneof![
        "[ -~]{0,80}",
        "(AWS4-HMAC-SHA256 )?(Credential=[A-Z/0-9a-z_-]{0,30}|SignedHeaders=[a-z;-]{0,20}|Signature=[0-9a-f]{0,64}|[,= ]){0,8}",
        "((v1|v0|t|V1| )?=?[0-9a-f]{0,64}[,; ]?){0,6}",
        "(v1,[A-Za-z0-9+/=]{0,44} ?){0,4}",
        "(sha256=)?[0-9a-fA-F]{0,130}",
    ];
    let rows = [
        ("cxone", "Authorization"),
        ("cxone", "X-Amz-Date"),
        ("nice", "X-NICE-Signature"),
        ("cognigy", "X-Cognigy-Signature"),
        ("cognigy", "X-Cognigy-Timestamp"),
        ("cxone-expert", "X-Nexus-Signature-256"),
        ("standard-webhooks", "webhook-signature"),
        ("standard-webhooks", "webhook-id"),
    ];
    let cases = (prop::sample::select(rows.to_vec()), text);
    let checked = runner().run(&cases, |((preset, header), value)| {
        let request = Signer::of(preset).sign(event(&unique())).set(header, &value);
        let (status, reason) = asker.ask(&request);
        prop_assert!([400, 401, 410].contains(&status), "{header}: {value:?}: {status} {reason}");
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn a_list_with_the_right_signature_is_believed_wherever_it_stands() {
    let daemon = Setup::new().preset("nice").start();
    let asker = Asker::new(&daemon);
    let others = prop::collection::vec("(v1=[0-9a-f]{64}|v0=[!-+.-~]{0,20}|[a-su-z][a-z]{0,5}=[0-9a-z]{0,9})", 0..6);
    let cases = (others, any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let checked = runner().run(&cases, |(others, first, second)| {
        let body = event(&unique());
        let request = Signer::of("nice").sign(&body);
        let value = request.get("X-NICE-Signature").to_owned();
        let (signature, time) = value.split_once(',').unwrap();
        let mut items: Vec<&str> = others.iter().map(String::as_str).collect();
        items.insert(first.index(items.len() + 1), signature);
        items.insert(second.index(items.len() + 1), time);
        let (status, reason) = asker.ask(&request.set("X-NICE-Signature", &items.join(" , ")));
        prop_assert_eq!(status, 200, "{:?} at {}: {}", items, now(), reason);
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn a_proxy_header_that_is_none_closes_the_connection() {
    let setup =
        Setup::new().set("listener", "proxy_protocol", "\"required\"").set("limits", "handshake_timeout", "\"2s\"");
    let daemon = setup.set("listener", "trusted_proxies", "[\"127.0.0.1\"]").preset("cognigy").start();
    let signature = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let binary = prop::collection::vec(any::<u8>(), 0..60).prop_map(move |rest| [signature.clone(), rest].concat());
    let text = "PROXY (TCP4|TCP6|UNKNOWN|UDP4|X)?( [0-9a-f.:]{0,20}){0,5}(\r\n|\n|\r)?".prop_map(String::into_bytes);
    let bytes = prop_oneof![binary, text, prop::collection::vec(any::<u8>(), 0..120)];
    let checked = runner().run(&bytes, |bytes| {
        let mut stream = TcpStream::connect(daemon.webhook).unwrap();
        // What follows is no TLS, so even after a good header the connection ends without HTTP.
        let sent = stream.write_all(&bytes).and_then(|()| stream.write_all(b"GET / HTTP/1.1\r\n\r\n"));
        let _ = sent.and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        prop_assert!(!answer.starts_with(b"HTTP"), "{:?}", String::from_utf8_lossy(&answer));
        Ok(())
    });
    checked.unwrap();
    assert_eq!(daemon.get("/readyz").status, 200);
    eventually("no connection is left behind", || {
        (daemon.scrape().count("gatepost_connections", &[]) == 0).then_some(())
    });
}

#[test]
fn any_head_is_answered_or_closed() {
    let daemon = Setup::every_preset().start();
    let line = prop_oneof![
        "[A-Za-z-]{1,20}: ?[ -~]{0,60}",
        "(Content-Length|Transfer-Encoding|Host|Expect|Connection|Content-Type|Upgrade|TE|Trailer): ?(chunked|close|keep-alive, upgrade|[0-9]{1,20}|100-continue|h2c|a.test|,)",
        "[\\x00-\\x7f]{0,30}",
    ];
    let start = prop_oneof![
        "(GET|POST|PUT|CONNECT|PRI|[A-Z]{1,9}) (/webhook/cognigy|/webhooks/nice|/healthz|\\*|a:1|http://a/|/[ -~]{0,30}) HTTP/(1\\.[01]|2\\.0|[0-9.]{0,4})",
        "[\\x00-\\x7f]{0,40}",
    ];
    let heads = (start, prop::collection::vec(line, 0..8), prop::collection::vec(any::<u8>(), 0..60));
    let checked = runner().run(&heads, |(start, lines, rest)| {
        let head = format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n"));
        let mut conn = daemon.connect();
        conn.send(&[head.as_bytes(), &rest].concat());
        conn.tls.conn.send_close_notify();
        conn.send(b"");
        let _ = conn.tls.sock.shutdown(Shutdown::Write);
        let answers = conn.all_responses();
        let fine = |status: u16| status < 500 || [501, 505].contains(&status);
        prop_assert!(answers.iter().all(|answer| fine(answer.status)), "{head:?}: {answers:?}");
        Ok(())
    });
    checked.unwrap();
    assert_eq!(daemon.get("/readyz").status, 200);
}
