//! Stopping: what is in flight is finished, what is idle is closed, what takes too long is cut.

use bytes::Bytes;
use gatepost::lifecycle::Phase;
use http::Request;
use tokio::io::AsyncWriteExt;

use super::rig::{Rig, Wish, one_answer, soon, until_closed};

const KEEP: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn draining_answers_on_and_asks_to_be_left() {
    let rig = Rig::start(Wish::default()).await;
    let mut kept = rig.h1().await;
    kept.write_all(KEEP).await.unwrap();
    assert!(!one_answer(&mut kept).await.contains("connection: close"));
    rig.server.lifecycle.enter(Phase::Draining);
    let mut fresh = rig.h1().await;
    for stream in [&mut kept, &mut fresh] {
        stream.write_all(KEEP).await.unwrap();
        let answer = until_closed(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_finishes_requests() {
    let rig = Rig::start(Wish::default()).await;
    let (mut untouched, mut idle, mut busy) = (rig.h1().await, rig.h1().await, rig.h1().await);
    idle.write_all(KEEP).await.unwrap();
    one_answer(&mut idle).await;
    busy.write_all(WAIT).await.unwrap();
    rig.in_flight().await;
    rig.server.lifecycle.stop_accepting().cancel();
    assert_eq!(until_closed(&mut untouched).await, "");
    assert_eq!(until_closed(&mut idle).await, "");
    soon(async { while tokio::net::TcpStream::connect(rig.address).await.is_ok() {} }).await;
    rig.gate.add_permits(1);
    let answer = until_closed(&mut busy).await;
    assert!(answer.ends_with("waited") && answer.contains("connection: close"), "{answer}");
    let lifecycle = rig.server.lifecycle.clone();
    rig.ended().await;
    soon(lifecycle.tasks_done()).await;
}

#[tokio::test]
async fn stopping_finishes_http2_streams_and_takes_no_more() {
    let rig = Rig::start(Wish::default()).await;
    let (mut client, connection) = soon(h2::client::handshake(rig.h2_raw().await)).await.unwrap();
    let connection = rig.server.lifecycle.spawn(connection);
    let request = || Request::get("https://localhost/wait").body(()).unwrap();
    let (answer, _) = client.send_request(request(), true).unwrap();
    rig.in_flight().await;
    rig.server.lifecycle.stop_accepting().cancel();
    soon(async {
        // The GOAWAY arrives; until then the client may still think that it can send.
        while client.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.gate.add_permits(1);
    let mut body = soon(answer).await.unwrap().into_body();
    assert_eq!(soon(body.data()).await.unwrap().unwrap(), Bytes::from_static(b"waited"));
    drop((client, body));
    soon(connection).await.unwrap().unwrap();
    rig.ended().await;
}

#[tokio::test]
async fn http2_streams_end_with_a_connection_that_is_cut_off() {
    let rig = Rig::start(Wish::default()).await;
    let (mut client, connection) = soon(h2::client::handshake(rig.h2_raw().await)).await.unwrap();
    let connection = rig.server.lifecycle.spawn(connection);
    let request = || Request::post("https://localhost/wait").body(()).unwrap();
    let streams = [client.send_request(request(), true).unwrap(), client.send_request(request(), false).unwrap()];
    for _ in &streams {
        rig.in_flight().await;
    }
    let lifecycle = rig.server.lifecycle.clone();
    lifecycle.cut_off().cancel();
    rig.ended().await;
    // The client's own task is among them.
    drop((client, streams));
    let _ = soon(connection).await.unwrap();
    soon(lifecycle.tasks_done()).await;
}

#[tokio::test]
async fn draining_sends_a_served_http2_client_away() {
    let rig = Rig::start(Wish::default()).await;
    let (mut client, connection) = soon(h2::client::handshake(rig.h2_raw().await)).await.unwrap();
    let connection = rig.server.lifecycle.spawn(connection);
    rig.server.lifecycle.enter(Phase::Draining);
    let request = Request::get("https://localhost/").body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(soon(answer).await.unwrap().status(), 200, "one that has only just come is served");
    soon(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn cutting_off_drops_everything_at_once() {
    let rig = Rig::start(Wish::default()).await;
    let (mut h1, _half_open) = (rig.h1().await, rig.tcp().await);
    h1.write_all(WAIT).await.unwrap();
    let (mut client, connection) = soon(h2::client::handshake(rig.h2_raw().await)).await.unwrap();
    drop(rig.server.lifecycle.spawn(connection));
    let request = Request::get("https://localhost/wait").body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    rig.in_flight().await;
    rig.in_flight().await;
    let lifecycle = rig.server.lifecycle.clone();
    lifecycle.stop_accepting().cancel();
    lifecycle.cut_off().cancel();
    assert!(soon(answer).await.is_err());
    assert_eq!(until_closed(&mut h1).await, "");
    rig.ended().await;
    soon(lifecycle.tasks_done()).await;
}
