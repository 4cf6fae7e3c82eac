//! Clients that are slow on purpose: each must be closed at its deadline, and nobody else with it.

use gatepost::server::Limits;
use tokio::io::AsyncWriteExt;

use super::rig::{Rig, SHORT, Wish, exchange, one_answer, soon, until_closed};

async fn rig(change: impl FnOnce(&mut Limits)) -> Rig {
    let mut wish = Wish::default();
    change(&mut wish.limits);
    Rig::start(wish).await
}

#[tokio::test]
async fn no_client_hello() {
    let rig = rig(|limits| limits.handshake_timeout = SHORT).await;
    assert_eq!(until_closed(&mut rig.tcp().await).await, "");
    let text = rig.server.metrics.render();
    assert!(text.contains("gatepost_tls_handshakes_total{outcome=\"failed\"} 1"), "{text}");
}

#[tokio::test]
async fn half_a_client_hello() {
    let rig = rig(|limits| limits.handshake_timeout = SHORT).await;
    let mut stream = rig.tcp().await;
    stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]).await.unwrap();
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_head_byte_by_byte() {
    let rig = rig(|limits| limits.header_timeout = SHORT).await;
    let (mut read, mut write) = tokio::io::split(rig.h1().await);
    let drip = async {
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\nx-drip: ".iter().chain(std::iter::repeat(&b'x')) {
            if write.write_all(&[*byte]).await.is_err() || write.flush().await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 20).await;
        }
    };
    tokio::select! {
        () = drip => {}
        text = until_closed(&mut read) => assert_eq!(text, ""),
    }
}

#[tokio::test]
async fn a_tls_record_never_finished() {
    let rig = rig(|limits| limits.header_timeout = SHORT).await;
    let mut stream = rig.h1().await;
    // The header of an application data record, and one byte of it, past the TLS library.
    stream.get_mut().0.write_all(&[0x17, 0x03, 0x03, 0x00, 0x40, 0x00]).await.unwrap();
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn idle_before_the_first_request_and_after_one() {
    let rig = rig(|limits| limits.idle_timeout = SHORT).await;
    assert_eq!(until_closed(&mut rig.h1().await).await, "");
    let mut stream = rig.h1().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn a_short_header_deadline_does_not_close_an_idle_connection() {
    let rig = rig(|limits| limits.header_timeout = SHORT).await;
    let mut stream = rig.h1().await;
    for _ in 0..2 {
        tokio::time::sleep(SHORT * 2).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(one_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn short_deadlines_do_not_cut_a_request_in_flight() {
    let rig = rig(|limits| (limits.header_timeout, limits.idle_timeout) = (SHORT, SHORT)).await;
    let mut stream = rig.h1().await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    rig.in_flight().await;
    tokio::time::sleep(SHORT * 3).await;
    rig.gate.add_permits(1);
    assert!(one_answer(&mut stream).await.ends_with("waited"));
}

#[tokio::test]
async fn never_reading_the_answer() {
    let rig = rig(|limits| limits.idle_timeout = SHORT).await;
    let mut stream = rig.h1().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    soon(async {
        while rig.server.metrics.connections.get() > 0 {
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await;
}

#[tokio::test]
async fn http2_agreed_and_nothing_sent() {
    let rig = rig(|limits| limits.idle_timeout = SHORT).await;
    until_closed(&mut rig.h2_raw().await).await;
}

#[tokio::test]
async fn the_others_are_served_meanwhile() {
    let rig = rig(|limits| limits.handshake_timeout = SHORT).await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(rig.tcp().await);
    }
    let answer = exchange(&mut rig.h1().await, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"));
}
