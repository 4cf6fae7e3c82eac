//! Contract 7: which bodies are JSON objects and which only nearly are. Everything here is correctly signed.

use crate::support::{Daemon, Setup, Signer, accepted, assert_refusal, unique};

fn daemon() -> Daemon {
    Setup::new().preset("nice").preset("cognigy").preset("cognigy-callback").preset("cxone-expert").start()
}

#[track_caller]
fn refused(daemon: &Daemon, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let shown: String = String::from_utf8_lossy(body).chars().take(120).collect();
    for preset in ["nice", "cognigy"] {
        let response = daemon.send(&Signer::of(preset).sign(body));
        assert!(response.reason() == "invalid_json", "{preset} {shown:?}: {response:?}");
        assert_refusal(&response, 400, "invalid_json");
    }
}

#[track_caller]
fn taken(daemon: &Daemon, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let shown: String = String::from_utf8_lossy(body).chars().take(120).collect();
    for preset in ["nice", "cognigy"] {
        let response = daemon.send(&Signer::of(preset).sign(body));
        assert!(response.status == 200, "{preset} {shown:?}: {response:?}");
    }
}

/// An object with arrays inside, `levels` deep in all.
fn nested(levels: usize) -> String {
    format!("{{\"n\":\"{}\",\"d\":{}{}}}", unique(), "[".repeat(levels - 1), "]".repeat(levels - 1))
}

#[test]
fn what_is_no_object() {
    let daemon = daemon();
    for body in ["", " ", "[]", "[{}]", "\"text\"", "1", "null", "true", "{", "}", "{}}", "[{\"eventId\":\"a\"}]"] {
        refused(&daemon, body);
    }
}

#[test]
fn what_is_nearly_json() {
    let daemon = daemon();
    for body in [
        "{} x",
        "{}{}",
        "{}\0",
        "{},",
        "{}\n{}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":0x1}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\"}",
        "{\"a\":}",
        "{:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1}//x",
        "/*x*/{}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u{41}\"}",
        "{\"a\":\"b}",
        "{\"a\":-}",
        "{\"a\":--1}",
        "{\"a\":undefined}",
        "{1:2}",
        "{\"a\":[}]",
        "\u{a0}{}",
        "{\"a\":1\u{2028}}",
        "\u{c}{}",
    ] {
        refused(&daemon, body);
    }
}

#[test]
fn byte_order_marks_and_other_encodings() {
    let daemon = daemon();
    refused(&daemon, b"\xef\xbb\xbf{}");
    let wide = |big: bool| -> Vec<u8> {
        "{\"a\":1}".encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    refused(&daemon, wide(true));
    refused(&daemon, wide(false));
    // Latin-1, overlong, a raw surrogate, beyond Unicode, a lone continuation, cut off: nested too.
    for bytes in [&b"\xe9"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82", b"\xff"] {
        refused(&daemon, [b"{\"a\":\"", bytes, b"\"}"].concat());
        refused(&daemon, [b"{\"", bytes, b"\":1}"].concat());
        refused(&daemon, [b"{\"a\":[{\"b\":\"", bytes, b"\"}]}"].concat());
    }
}

#[test]
fn lone_surrogates_anywhere() {
    let daemon = daemon();
    for text in [
        r"\ud800",
        r"\udc00",
        r"\udc00\ud800",
        r"\ud800x",
        r"\ud800\n",
        r"\ud800\u0041",
        r"\uD83D",
        r"\ude00",
        r"\ud800\ud800\udc00",
    ] {
        refused(&daemon, format!("{{\"a\":\"{text}\"}}"));
        refused(&daemon, format!("{{\"{text}\":1}}"));
        refused(&daemon, format!("{{\"a\":{{\"b\":[\"{text}\"]}}}}"));
        refused(&daemon, format!("{{\"a\":[{{\"{text}\":1}}]}}"));
        refused(&daemon, format!("{{\"eventId\":\"{text}\",\"intent\":\"{text}\"}}"));
    }
    let n = unique();
    taken(&daemon, format!(r#"{{"n":"{n}","a":"\ud83d\ude00","\uD83D\uDE00":["\\ud800","\u0000","\uffff"]}}"#));
}

#[test]
fn levels() {
    let daemon = daemon();
    taken(&daemon, nested(2));
    taken(&daemon, nested(127));
    taken(&daemon, nested(128));
    refused(&daemon, nested(129));
    refused(&daemon, nested(130));
    refused(&daemon, nested(100_000));
    refused(&daemon, "[".repeat(500_000));
    refused(&daemon, "{\"a\":".repeat(100_000));
    let objects = |levels: usize| format!("{}\"{}\"{}", "{\"d\":".repeat(levels), unique(), "}".repeat(levels));
    taken(&daemon, objects(128));
    refused(&daemon, objects(129));
    // Width is no depth.
    taken(&daemon, format!("{{\"n\":\"{}\",\"w\":[{}[]]}}", unique(), "[],".repeat(1000)));
}

#[test]
fn odd_but_valid() {
    let daemon = daemon();
    let n = unique();
    for body in [
        format!(" \t\r\n{{ \"n\" : \"{n}-1\" }} \r\n\t "),
        format!("{{\"n\":\"{n}-2\",\"big\":1e999,\"small\":-1E-999,\"long\":{}}}", "9".repeat(400)),
        format!("{{\"n\":\"{n}-3\",\"\":null,\"a\":[],\"b\":{{}},\"c\":-0,\"d\":0.0,\"e\":1E+2}}"),
        format!("{{\"n\":\"{n}-4\",\"a\":\"\u{7f}\u{2028}\u{feff}\u{10ffff}\\/\\b\\f\"}}"),
    ] {
        taken(&daemon, body);
    }
}

#[test]
fn the_callback_wants_its_fields_at_the_top() {
    let daemon = daemon();
    let send = |body: String| daemon.send(&Signer::of("cognigy-callback").sign(body));
    let n = unique();
    assert_refusal(&send(r#"{"data":{"sessionId":"a","userId":"b"}}"#.into()), 400, "missing_required_fields");
    let answer = accepted(&send(format!(r#"{{"session\u0049d":"{n}-\u00e9","userId":"b"}}"#)));
    assert_eq!(answer["sessionId"], format!("{n}-\u{e9}"));
}

#[test]
fn where_any_body_is_taken_nothing_is_parsed() {
    let daemon = daemon();
    for media in ["text/xml", "application/xml"] {
        let body = format!("{{\"not\":\"json\", {}", unique());
        let response = daemon.send(&Signer::of("cxone-expert").sign(&body).set("Content-Type", media));
        assert_eq!(response.status, 200, "{response:?}");
    }
}
