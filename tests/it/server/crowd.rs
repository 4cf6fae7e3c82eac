//! Crowds before the handshake: whoever connects and stays silent, or begins a handshake and never ends it, keeps
//! nobody else out. Every deadline is ten minutes away, so that none of it passes by itself.

use std::net::SocketAddr;
use std::sync::Arc;

use gatepost::server::networks::Networks;
use gatepost::server::{Limits, Proxy};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::rig::{Rig, Wish, exchange, one_answer, soon, until_closed};
use crate::support::crowd::many_descriptors;

const CLOSE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const HALF_HELLO: [u8; 9] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc];
/// More than the handshakes at once.
const CROWD: usize = 1100;
/// Of them, what one client may have under way.
const SHARE: usize = 128;

async fn rig(required: bool, change: impl FnOnce(&mut Limits)) -> Rig {
    many_descriptors(4096);
    let mut wish = Wish::default();
    (wish.limits.max_connections, wish.limits.max_connections_per_client) = (5000, 5000);
    change(&mut wish.limits);
    if required {
        wish.proxy = Proxy { required, trusted: Networks::parse(["127.0.0.1"]).unwrap() };
    }
    Rig::start(wish).await
}

fn hello(rig: &Rig) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(rig.ca.client(&[])), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// A connection from `from` on which `first` was sent, which is read from no further.
async fn sent(rig: &Rig, from: &str, first: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = soon(socket.connect(rig.address)).await.unwrap();
    stream.write_all(first).await.unwrap();
    stream
}

/// Begins TLS on `stream` and asks for `/`.
async fn served(rig: &Rig, stream: TcpStream) -> String {
    let mut tls = secured(rig, stream).await.unwrap();
    exchange(&mut tls, CLOSE).await
}

async fn secured(rig: &Rig, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(rig.ca.client(&[b"http/1.1"])));
    soon(connector.connect(ServerName::try_from("localhost").unwrap(), stream)).await
}

fn v1(client: &str) -> Vec<u8> {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let to = if client.contains(':') { "::1" } else { "127.0.0.1" };
    format!("PROXY {family} {client} {to} 4711 443\r\n").into_bytes()
}

#[tokio::test]
async fn silence_takes_no_turn() {
    for first in [&b""[..], &HALF_HELLO] {
        let rig = rig(false, |_| ()).await;
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            crowd.push(sent(&rig, "127.0.0.1", first).await);
        }
        let good = sent(&rig, "127.0.0.1", b"").await;
        assert!(served(&rig, good).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn silence_behind_a_proxy_takes_no_turn_either() {
    for first in
        [Vec::new(), b"PROXY TCP4 192.0.2".to_vec(), v1("192.0.2.1"), [v1("192.0.2.1"), HALF_HELLO.to_vec()].concat()]
    {
        let rig = rig(true, |_| ()).await;
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            crowd.push(sent(&rig, "127.0.0.1", &first).await);
        }
        let good = sent(&rig, "127.0.0.1", &v1("192.0.2.2")).await;
        assert!(served(&rig, good).await.ends_with("peer 192.0.2.2"));
    }
}

#[tokio::test]
async fn one_client_with_handshakes_that_never_end_keeps_nobody_out() {
    let rig = rig(false, |_| ()).await;
    let hello = hello(&rig);
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(sent(&rig, "127.0.0.1", &hello).await);
    }
    let others = sent(&rig, "127.0.0.2", b"").await;
    assert!(served(&rig, others).await.ends_with("peer 127.0.0.2"));
}

#[tokio::test]
async fn of_one_client_the_oldest_unfinished_handshakes_go() {
    let rig = rig(false, |_| ()).await;
    let hello = hello(&rig);
    let mut crowd = Vec::new();
    for _ in 0..SHARE {
        crowd.push(sent(&rig, "127.0.0.1", &hello).await);
    }
    let own = sent(&rig, "127.0.0.1", b"").await;
    assert!(served(&rig, own).await.ends_with("peer 127.0.0.1"), "the same address, all of its share taken");
}

#[tokio::test]
async fn behind_a_proxy_the_client_has_the_share_and_in_ipv6_its_64() {
    for (bad, good) in [("192.0.2.", "192.0.2.200"), ("2001:db8::", "2001:db8:0:1::1")] {
        let rig = rig(true, |_| ()).await;
        let hello = hello(&rig);
        let mut crowd = Vec::new();
        for number in 0..CROWD {
            let client = if bad.contains(':') { format!("{bad}{number:x}") } else { format!("{bad}1") };
            crowd.push(sent(&rig, "127.0.0.1", &[v1(&client), hello.clone()].concat()).await);
        }
        let good_one = sent(&rig, "127.0.0.1", &v1(good)).await;
        assert!(served(&rig, good_one).await.ends_with(&format!("peer {good}")));
    }
}

#[tokio::test]
async fn where_all_connections_are_taken_the_longest_silent_makes_room() {
    let rig = rig(false, |limits| limits.max_connections = 4).await;
    let mut spoken = rig.h1().await;
    let (mut first, mut second) = (sent(&rig, "127.0.0.1", b"").await, sent(&rig, "127.0.0.2", &HALF_HELLO).await);
    let _third = sent(&rig, "127.0.0.3", b"").await;
    assert!(served(&rig, rig.tcp().await).await.starts_with("HTTP/1.1 200"));
    assert_eq!(until_closed(&mut first).await, "");
    let _again = sent(&rig, "127.0.0.4", b"").await;
    assert!(served(&rig, rig.tcp().await).await.starts_with("HTTP/1.1 200"));
    assert_eq!(until_closed(&mut second).await, "");
    spoken.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(one_answer(&mut spoken).await.starts_with("HTTP/1.1 200"), "who has spoken stays");
}

#[tokio::test]
async fn a_client_at_its_share_gives_up_its_own_silent_connections_only() {
    let rig = rig(false, |limits| limits.max_connections_per_client = 2).await;
    let mut others = sent(&rig, "127.0.0.2", b"").await;
    let mut first = sent(&rig, "127.0.0.1", b"").await;
    let _second = sent(&rig, "127.0.0.1", b"").await;
    assert!(served(&rig, rig.tcp().await).await.starts_with("HTTP/1.1 200"));
    assert_eq!(until_closed(&mut first).await, "");
    others.write_all(&[]).await.unwrap();
    assert!(served(&rig, others).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn max_connections_per_client_counts_the_proxys_client_and_its_64() {
    let rig = rig(true, |limits| limits.max_connections_per_client = 2).await;
    let open = async |client: &str| {
        let stream = sent(&rig, "127.0.0.1", &v1(client)).await;
        secured(&rig, stream).await
    };
    let held = [open("2001:db8::1").await.unwrap(), open("2001:db8::2").await.unwrap()];
    assert!(open("2001:db8::3").await.is_err(), "a /64 is one client");
    let mut other = open("2001:db8:0:1::3").await.unwrap();
    assert!(exchange(&mut other, CLOSE).await.ends_with("peer 2001:db8:0:1::3"));
    drop(held);
    // A proxy's own connections (LOCAL: health checks) count for nobody.
    let mut own = Vec::new();
    for _ in 0..4 {
        let stream = sent(&rig, "127.0.0.1", b"PROXY UNKNOWN\r\n").await;
        own.push(secured(&rig, stream).await.unwrap());
    }
}

#[tokio::test]
async fn a_client_hello_longer_than_anybody_sends_is_cut_off() {
    let rig = rig(false, |_| ()).await;
    // Records of a ClientHello that says it has 60,000 bytes.
    let mut bytes = vec![0x16, 3, 1, 0x40, 0, 0x01, 0, 0xea, 0x60];
    bytes.extend(vec![0; 0x4000 - 4]);
    bytes.extend([0x16, 3, 1, 0x40, 0]);
    bytes.extend(vec![0; 0x2000]);
    let mut stream = sent(&rig, "127.0.0.1", b"").await;
    let _ = stream.write_all(&bytes).await;
    until_closed(&mut stream).await;
}
