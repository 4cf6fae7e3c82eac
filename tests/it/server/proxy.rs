//! PROXY headers, and how many connections a client may hold.

use std::sync::Arc;

use gatepost::server::networks::Networks;
use gatepost::server::{Limits, Proxy};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use super::rig::{LONG, Rig, SHORT, Wish, exchange, one_answer, soon, until_closed};

const CLOSE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn behind(trusted: &str) -> Wish {
    let trusted = Networks::parse([trusted]).unwrap();
    Wish { proxy: Proxy { required: true, trusted }, ..Wish::default() }
}

/// The answer over TLS after `header`, sent in two pieces; `None` where the server closed instead.
async fn after(rig: &Rig, header: &[u8]) -> Option<String> {
    let mut stream = rig.tcp().await;
    let (first, second) = header.split_at(header.len() / 2);
    for piece in [first, second] {
        stream.write_all(piece).await.ok()?;
        stream.flush().await.ok()?;
        tokio::task::yield_now().await;
    }
    let connector = TlsConnector::from(Arc::new(rig.ca.client(&[])));
    let mut tls = soon(connector.connect(ServerName::try_from("localhost").unwrap(), stream)).await.ok()?;
    Some(exchange(&mut tls, CLOSE).await)
}

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb];

#[tokio::test]
async fn a_trusted_proxys_header_gives_the_peer() {
    let rig = Rig::start(behind("127.0.0.0/8")).await;
    let mut tlvs = V4.to_vec();
    tlvs.extend([0x20, 0x03, 0xe8]);
    tlvs.extend([7; 1000]);
    for (header, peer) in [
        (b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\n".to_vec(), "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::9 ::1 4711 443\r\n".to_vec(), "2001:db8::9"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0x11, &V4), "192.0.2.1"),
        (v2(0x21, 0x11, &tlvs), "192.0.2.1"),
        (v2(0x20, 0x00, &[]), "127.0.0.1"),
    ] {
        let answer = after(&rig, &header).await.expect(peer);
        assert!(answer.ends_with(&format!("peer {peer}")), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_without_a_sound_header_is_closed() {
    let rig = Rig::start(behind("127.0.0.0/8")).await;
    for header in [
        Vec::new(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
        format!("PROXY UNKNOWN {}\r\n", "x".repeat(120)).into_bytes(),
        v2(0x21, 0x11, &V4[..8]),
        v2(0x21, 0x11, &[0; 4000]),
    ] {
        assert_eq!(after(&rig, &header).await, None, "{:?}", String::from_utf8_lossy(&header));
    }
}

#[tokio::test]
async fn a_header_cut_short_ends_with_the_connection_or_the_deadline() {
    let wish = behind("127.0.0.0/8");
    let limits = Limits { handshake_timeout: SHORT, ..wish.limits };
    let rig = Rig::start(Wish { limits, ..wish }).await;
    let mut stalled = rig.tcp().await;
    stalled.write_all(b"PROXY TCP4 192.0.2.1").await.unwrap();
    assert_eq!(until_closed(&mut stalled).await, "");
    let mut ended = rig.tcp().await;
    ended.write_all(&v2(0x21, 0x11, &V4)[..20]).await.unwrap();
    ended.shutdown().await.unwrap();
    assert_eq!(until_closed(&mut ended).await, "");
}

#[tokio::test]
async fn a_header_from_anybody_else_closes_the_connection_and_trust_can_change() {
    let rig = Rig::start(behind("192.0.2.0/24")).await;
    let header = b"PROXY TCP4 198.51.100.1 127.0.0.1 4711 443\r\n";
    assert_eq!(after(&rig, header).await, None);
    rig.server.proxy.store(Arc::new(behind("127.0.0.1").proxy));
    assert!(after(&rig, header).await.unwrap().ends_with("peer 198.51.100.1"));
}

#[tokio::test]
async fn a_client_holds_at_most_its_share_and_a_trusted_proxy_any_number() {
    let limits = Limits { max_connections_per_client: 2, ..Wish::default().limits };
    let rig = Rig::start(Wish { limits, ..Wish::default() }).await;
    let mut held = [rig.h1().await, rig.h1().await];
    let mut third = rig.tcp().await;
    assert_eq!(until_closed(&mut third).await, "");
    for stream in &mut held {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(one_answer(stream).await.starts_with("HTTP/1.1 200"), "the others are not disturbed");
    }
    rig.server.proxy.store(Arc::new(Proxy { required: false, trusted: Networks::parse(["127.0.0.1"]).unwrap() }));
    let mut more = rig.h1().await;
    assert!(exchange(&mut more, CLOSE).await.ends_with("peer 127.0.0.1"));
}

#[tokio::test]
async fn beyond_the_most_connections_one_is_closed_and_room_comes_back() {
    let limits = Limits { max_connections: 1, idle_timeout: LONG, ..Wish::default().limits };
    let rig = Rig::start(Wish { limits, ..Wish::default() }).await;
    let held = rig.h1().await;
    assert_eq!(rig.server.metrics.connections.get(), 1);
    let mut refused = rig.tcp().await;
    assert_eq!(until_closed(&mut refused).await, "");
    drop(held);
    soon(async {
        while rig.server.metrics.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(exchange(&mut rig.h1().await, CLOSE).await.starts_with("HTTP/1.1 200"));
}
