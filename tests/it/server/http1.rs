//! HTTP/1.1 over raw sockets: framing that could be read in two ways, limits of a head, closing so that answers arrive.

use tokio::io::AsyncWriteExt;

use super::rig::{Rig, Wish, exchange, one_answer, until_closed};

/// Sends `head` (and what follows it) and gives all that came back until the server closed.
async fn raw(rig: &Rig, text: &str) -> String {
    let mut stream = rig.h1().await;
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    // A half-closed client still gets its answer; and a server that waits for more sees that there is none.
    stream.shutdown().await.unwrap();
    until_closed(&mut stream).await
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

#[tokio::test]
async fn lengths_that_are_no_plain_number_or_differ_are_refused() {
    let rig = Rig::start(Wish::default()).await;
    for bad in ["+5", "-5", "0x5", "5 ", "5,5", "5, 6", "", "5;", "18446744073709551616", "５"] {
        let text = format!("POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: {bad}\r\n\r\nhello");
        let got = raw(&rig, &text).await;
        // Blanks around a value are no part of it (RFC 9112 section 5).
        let expected = if bad == "5 " { vec!["200"] } else { vec!["400"] };
        assert_eq!(statuses(&got), expected, "{bad:?}: {got}");
    }
    let twice =
        |a, b| format!("POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: {a}\r\ncontent-length: {b}\r\n\r\nhello");
    assert_eq!(statuses(&raw(&rig, &twice("5", "5")).await), ["200"]);
    assert_eq!(statuses(&raw(&rig, &twice("5", "6")).await), ["400"]);
}

#[tokio::test]
async fn with_both_lengths_the_connection_closes_and_the_rest_is_no_request() {
    let rig = Rig::start(Wish::default()).await;
    for lines in ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let text = format!(
            "POST /read HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let got = raw(&rig, &text).await;
        assert_eq!(statuses(&got), ["200"], "{got}");
        assert!(got.contains("connection: close") && got.ends_with("read 5"), "{got}");
        let got = raw(&rig, &text.replace("/read", "/fields")).await;
        assert!(!got.contains("content-length\": \"4\""), "Content-Length does not survive Transfer-Encoding: {got}");
    }
}

#[tokio::test]
async fn transfer_codings_hyper_itself_refuses_and_lets_pass() {
    let rig = Rig::start(Wish::default()).await;
    let post = |version: &str, te: &str| {
        format!("POST /read HTTP/{version}\r\nhost: a\r\ntransfer-encoding: {te}\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    };
    for bad in ["identity", "gzip", "chunked, gzip", "chunked, identity", "xchunked", "\"chunked\"", "chunked;q=1"] {
        assert_eq!(statuses(&raw(&rig, &post("1.1", bad)).await), ["400"], "{bad}");
    }
    assert!(raw(&rig, &post("1.0", "chunked")).await.contains(" 400 "));
    // These reach the service: refusing them is the part of whoever routes (the contract wants plain `chunked`, once).
    for passed in ["chunked", "Chunked", "gzip, chunked", "chunked, chunked", "chunked\r\ntransfer-encoding: chunked"] {
        assert_eq!(statuses(&raw(&rig, &post("1.1", passed)).await), ["200"], "{passed}");
    }
}

#[tokio::test]
async fn broken_heads_are_refused_and_the_connection_closed() {
    let rig = Rig::start(Wish::default()).await;
    for bad in [
        "GET / HTTP/1.1\r\nhost: a\r\n folded: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n continued\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nx: a\rb\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nhost: a\r\n\r\n",
        "GET / HTTP/9.9\r\nhost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "G@T / HTTP/1.1 x\r\n\r\n",
    ] {
        let got = raw(&rig, &format!("{bad}GET / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!(statuses(&got), ["400"], "{bad:?}: {got}");
    }
}

#[tokio::test]
async fn what_hyper_takes_and_the_router_must_judge() {
    let rig = Rig::start(Wish::default()).await;
    for taken in [
        "GET /fields HTTP/1.1\r\n\r\n",
        "GET /fields HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET /fields HTTP/1.1\r\nhost: \r\n\r\n",
        "GET /fields HTTP/1.1\nhost: a\n\n",
        "GET http://other/fields HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        assert_eq!(statuses(&raw(&rig, taken).await), ["200"], "{taken:?}");
    }
    let absolute = raw(&rig, "GET http://other/fields HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(absolute.contains("http://other/fields"), "the service sees the whole target: {absolute}");
}

#[tokio::test]
async fn heads_too_large_and_targets_too_long_have_their_own_answers() {
    let rig = Rig::start(Wish::default()).await;
    let many = "x: 1\r\n".repeat(101);
    assert_eq!(statuses(&raw(&rig, &format!("GET / HTTP/1.1\r\n{many}\r\n")).await), ["431"]);
    let large = "x".repeat(120_000);
    assert_eq!(statuses(&raw(&rig, &format!("GET / HTTP/1.1\r\nx: {large}\r\n\r\n")).await), ["431"]);
    let long = "x".repeat(66_000);
    assert_eq!(statuses(&raw(&rig, &format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n")).await), ["414"]);
}

#[tokio::test]
async fn a_refusal_before_the_body_arrives_although_the_client_goes_on_sending() {
    let rig = Rig::start(Wish::default()).await;
    let body = vec![b'x'; 1024 * 1024 + 1];
    let mut stream = rig.h1().await;
    let head = format!("POST /refuse HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // Blocking clients write everything before they read.
    stream.write_all(&body).await.unwrap();
    stream.flush().await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("refused"), "{answer}");
}

#[tokio::test]
async fn an_endless_body_after_a_refusal_is_not_listened_to() {
    let rig = Rig::start(Wish::default()).await;
    let mut stream = rig.h1().await;
    stream.write_all(b"POST /refuse HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    super::rig::soon(async { while stream.write_all(chunk.as_bytes()).await.is_ok() {} }).await;
}

#[tokio::test]
async fn expect_continue_is_answered_only_by_reading() {
    let rig = Rig::start(Wish::default()).await;
    let head = |path| format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n");
    let refused = exchange(&mut rig.h1().await, &head("/refuse")).await;
    assert_eq!(statuses(&refused), ["413"], "{refused}");
    let mut stream = rig.h1().await;
    stream.write_all(head("/read").as_bytes()).await.unwrap();
    assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 100"));
    stream.write_all(b"hello").await.unwrap();
    assert!(one_answer(&mut stream).await.ends_with("read 5"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start(Wish::default()).await;
    let one = "POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    let got = raw(&rig, &one.repeat(3)).await;
    assert_eq!(statuses(&got), ["200", "200", "200"], "{got}");
}
