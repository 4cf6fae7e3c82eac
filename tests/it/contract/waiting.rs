//! Contract 7: heads whose body does not come hold no more than a share of the request permits, whoever sends them.

use crate::support::http2::Http2;
use crate::support::{Conn, Daemon, Request, Setup, Signer, accepted, assert_refusal, eventually, nameless};

/// An eighth of these is 8, half of that 4.
const PERMITS: &str = "64";

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

fn daemon() -> Daemon {
    let setup = Setup::new().set("limits", "concurrent_requests", PERMITS);
    setup.set("limits", "body_timeout", "\"60s\"").preset("cognigy").start()
}

fn shed(daemon: &Daemon) -> usize {
    daemon.access().iter().filter(|record| record["outcome"] == "shed" && record["reason"] == "overloaded").count()
}

#[test]
fn heads_on_many_streams_of_one_client_leave_the_others_their_room() {
    let daemon = daemon();
    let mut crowd: Vec<Http2> = (0..3).map(|_| Http2::open(&daemon)).collect();
    let held: Vec<_> = crowd.iter_mut().map(|client| client.heads(&vec![cognigy(); 40])).collect();
    eventually("all but the client's share are turned away", || (shed(&daemon) == 3 * 40 - 8).then_some(()));
    for _ in 0..30 {
        accepted(&daemon.send(&cognigy()));
    }
    assert_eq!(shed(&daemon), 3 * 40 - 8, "nobody whose body was there was turned away");
    // Nor anybody whose body comes a moment after its head: one of those that only wait makes way.
    for _ in 0..10 {
        let (mut conn, request) = (daemon.connect(), cognigy());
        let length = request.body.len().to_string();
        conn.send(&request.clone().header("Content-Length", &length).head());
        std::thread::sleep(std::time::Duration::from_millis(20));
        conn.send(&request.body);
        accepted(&conn.response());
        accepted(&Http2::open(&daemon).ask(&cognigy()).unwrap());
    }
    drop((held, crowd));
    eventually("the share is free again", || {
        let mut conn = daemon.connect();
        let request = cognigy().header("Expect", "100-continue");
        let length = request.body.len().to_string();
        conn.send(&request.clone().header("Content-Length", &length).head());
        (conn.response().status == 100).then(|| {
            conn.send(&request.body);
            accepted(&conn.response());
        })
    });
}

#[test]
fn one_that_asks_whether_to_send_is_told_no_where_its_client_has_its_share() {
    let daemon = daemon();
    let ask = |daemon: &Daemon| {
        let mut conn = daemon.connect();
        conn.send(&cognigy().header("Expect", "100-continue").header("Content-Length", "100").head());
        let response = conn.response();
        (conn, response)
    };
    let held: Vec<(Conn, _)> = (0..8).map(|_| ask(&daemon)).collect();
    assert!(held.iter().all(|(_, response)| response.status == 100));
    assert_refusal(&ask(&daemon).1, 503, "overloaded");
    accepted(&daemon.send(&cognigy()));
}
