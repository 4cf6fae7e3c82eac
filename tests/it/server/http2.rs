//! HTTP/2: limits announced and kept, floods ended, slow takers closed. Frames by hand where no client would send them.

use bytes::Bytes;
use gatepost::server::Limits;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::rig::{Rig, SHORT, Wish, soon, until_closed};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:method: GET`, `:scheme: https`, `:path: /`, `:authority: a` in HPACK (RFC 7541).
const HEADERS: [u8; 6] = [0x82, 0x87, 0x84, 0x41, 0x01, b'a'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

async fn connected(rig: &Rig) -> TlsStream<TcpStream> {
    let mut stream = rig.h2_raw().await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// Sends frames until the server closes, at most `most` times; how many could be sent.
async fn flood(rig: &Rig, most: u32, mut next: impl FnMut(u32) -> Vec<u8>) -> u32 {
    let (mut read, mut write) = tokio::io::split(connected(rig).await);
    let sending = async {
        for i in 0..most {
            if write.write_all(&next(i)).await.is_err() || write.flush().await.is_err() {
                return i;
            }
        }
        most
    };
    // Both at once: a server that closes says so, and one that is not read from could not.
    let (sent, _) = soon(async { tokio::join!(sending, until_closed(&mut read)) }).await;
    sent
}

#[tokio::test]
async fn requests_bodies_and_the_peer_pass() {
    let rig = Rig::start(Wish::default()).await;
    let (mut client, connection) = soon(h2::client::handshake(rig.h2_raw().await)).await.unwrap();
    drop(rig.server.lifecycle.spawn(connection));
    let request = Request::post("https://localhost/read").body(()).unwrap();
    let (answer, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from(vec![0; 300_000]), true).unwrap();
    let mut answer = soon(answer).await.unwrap().into_body();
    assert_eq!(soon(answer.data()).await.unwrap().unwrap(), Bytes::from_static(b"read 300000"));
    assert_eq!(client.current_max_send_streams(), 128);
    let request = Request::post("https://localhost/refuse").body(()).unwrap();
    let (answer, _unfinished) = client.send_request(request, false).unwrap();
    assert_eq!(soon(answer).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::get("https://localhost/").body(()).unwrap();
    let (answer, _) = soon(client.ready()).await.unwrap().send_request(request, true).unwrap();
    assert_eq!(soon(answer).await.unwrap().status(), 200, "a refusal does not end the connection");
}

#[tokio::test]
async fn the_settings_announce_the_limits() {
    let rig = Rig::start(Wish::default()).await;
    let mut stream = connected(&rig).await;
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS come first");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    soon(stream.read_exact(&mut settings)).await.unwrap();
    let value = |id: u16| {
        let found = settings.chunks(6).find(|setting| setting[..2] == id.to_be_bytes());
        found.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()))
    };
    assert_eq!(value(3), Some(128), "MAX_CONCURRENT_STREAMS");
    assert_eq!(value(6), Some(16 * 1024), "MAX_HEADER_LIST_SIZE");
}

#[tokio::test]
async fn too_large_a_header_list_is_431_or_ends_the_connection() {
    let rig = Rig::start(Wish::default()).await;
    let (mut client, connection) = soon(h2::client::handshake(rig.h2_raw().await)).await.unwrap();
    drop(rig.server.lifecycle.spawn(connection));
    let request = Request::get("https://localhost/").header("x", "y".repeat(20_000)).body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    if let Ok(answer) = soon(answer).await {
        assert_eq!(answer.status(), 431);
    }
}

#[tokio::test]
async fn rapid_reset_is_ended() {
    let rig = Rig::start(Wish::default()).await;
    let sent = flood(&rig, 100_000, |i| {
        let stream = 2 * i + 1;
        [frame(1, 0x5, stream, &HEADERS), frame(3, 0, stream, &8u32.to_be_bytes())].concat()
    })
    .await;
    assert!(sent < 100_000);
}

#[tokio::test]
async fn resets_provoked_from_us_are_ended() {
    let rig = Rig::start(Wish::default()).await;
    // A window update of zero is a stream error (RFC 9113 section 6.9): we have to reset the stream (CVE-2025-8671).
    let sent = flood(&rig, 100_000, |i| {
        let stream = 2 * i + 1;
        [frame(1, 0x4, stream, &HEADERS), frame(8, 0, stream, &0u32.to_be_bytes())].concat()
    })
    .await;
    assert!(sent < 100_000);
}

#[tokio::test]
async fn a_continuation_flood_is_ended() {
    let rig = Rig::start(Wish::default()).await;
    let sent = flood(&rig, 100_000, |i| if i == 0 { frame(1, 0x1, 1, &HEADERS) } else { frame(9, 0, 1, &[]) }).await;
    assert!(sent < 100_000);
}

#[tokio::test]
async fn a_flood_of_empty_data_is_ended() {
    let rig = Rig::start(Wish::default()).await;
    // `:path: /read`, where the body is wanted.
    let post = [&[0x83, 0x87, 0x41, 0x01, b'a', 0x04, 0x05], &b"/read"[..]].concat();
    let sent = flood(&rig, 100_000, |i| if i == 0 { frame(1, 0x4, 1, &post) } else { frame(0, 0, 1, &[]) }).await;
    assert!(sent < 100_000);
}

#[tokio::test]
async fn what_is_begun_and_not_finished_is_closed_at_the_header_deadline() {
    let limits = Limits { header_timeout: SHORT, ..Wish::default().limits };
    let rig = Rig::start(Wish { limits, ..Wish::default() }).await;
    let settings = [PREFACE, &frame(4, 0, 0, &[])].concat();
    let with = |more: &[u8]| [&settings[..], more].concat();
    let open_block = frame(1, 0x1, 1, &HEADERS);
    for bytes in [
        Vec::new(),
        PREFACE[..10].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, &[0, 0, 0, 4]].concat(),
        with(&frame(1, 0x5, 1, &HEADERS)[..3]),
        with(&frame(1, 0x5, 1, &HEADERS)[..12]),
        with(&open_block),
        with(&[open_block, frame(9, 0, 1, &[])].concat()),
        with(&frame(6, 0, 0, &[0; 8])[..14]),
    ] {
        let mut stream = rig.h2_raw().await;
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
        until_closed(&mut stream).await;
    }
    // More of a header block is no progress.
    let (mut read, mut write) = tokio::io::split(connected(&rig).await);
    let drip = async {
        let mut next = frame(1, 0x1, 1, &HEADERS[..1]);
        while write.write_all(&next).await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(SHORT / 3).await;
            next = frame(9, 0, 1, &[]);
        }
    };
    tokio::select! {
        () = drip => {}
        _ = until_closed(&mut read) => {}
    }
}

#[tokio::test]
async fn a_short_header_deadline_closes_neither_an_idle_client_nor_one_with_half_a_body() {
    let limits = Limits { header_timeout: SHORT, ..Wish::default().limits };
    let rig = Rig::start(Wish { limits, ..Wish::default() }).await;
    let (mut client, connection) = soon(h2::client::handshake(rig.h2_raw().await)).await.unwrap();
    drop(rig.server.lifecycle.spawn(connection));
    for _ in 0..2 {
        tokio::time::sleep(SHORT * 2).await;
        let request = Request::post("https://localhost/read").body(()).unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"half"), false).unwrap();
        tokio::time::sleep(SHORT * 2).await;
        body.send_data(Bytes::from_static(b"rest"), true).unwrap();
        assert_eq!(soon(answer).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn half_a_header_block_and_silence_are_closed_at_the_idle_deadline() {
    let limits = Limits { idle_timeout: SHORT, ..Wish::default().limits };
    let rig = Rig::start(Wish { limits, ..Wish::default() }).await;
    let mut stream = connected(&rig).await;
    stream.write_all(&frame(1, 0x1, 1, &HEADERS[..3])).await.unwrap();
    until_closed(&mut stream).await;
}

#[tokio::test]
async fn an_idle_client_is_sent_away_although_it_pings() {
    let limits = Limits { idle_timeout: SHORT, ..Wish::default().limits };
    let rig = Rig::start(Wish { limits, ..Wish::default() }).await;
    let (read, mut write) = tokio::io::split(connected(&rig).await);
    let mut read = read;
    let ping = async {
        while write.write_all(&frame(6, 0, 0, &[0; 8])).await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::select! {
        () = ping => {}
        _ = until_closed(&mut read) => {}
    }
}

#[tokio::test]
async fn an_answer_that_is_given_no_window_is_not_kept_for_ever() {
    let limits = Limits { idle_timeout: SHORT, ..Wish::default().limits };
    let rig = Rig::start(Wish { limits, ..Wish::default() }).await;
    let mut stream = rig.h2_raw().await;
    stream.write_all(PREFACE).await.unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    stream.write_all(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])).await.unwrap();
    stream.write_all(&frame(1, 0x5, 1, &HEADERS)).await.unwrap();
    until_closed(&mut stream).await;
}
