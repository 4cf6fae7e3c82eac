//! Many large bodies at once and little memory for them: most are shed, resident memory stays bounded, and what fits
//! beside them is accepted.

use std::thread::JoinHandle;

use crate::support::{Conn, Daemon, Request, Setup, Signer, accepted, assert_refusal, eventually, nameless, unique};

const CONNECTIONS: usize = 120;
const BODY: usize = 1024 * 1024;
/// Four bodies and a half.
const BUDGET: usize = 9 * BODY / 2;
/// What a connection may hold beside the budget: hyper's read buffer (48 KiB, as large as a head may be), TLS records
/// on their way in, and the rest of a connection.
const MARGIN_PER_CONNECTION: usize = 256 * 1024;

fn small() -> Request {
    Signer::of("cognigy").sign(nameless())
}

/// A signed event of exactly 1 MiB.
fn large() -> Request {
    let shell = format!("{{\"n\":\"{}\",\"x\":\"\"}}", unique());
    let padding = "x".repeat(BODY - shell.len());
    let body = shell.replace("\"x\":\"\"", &format!("\"x\":\"{padding}\""));
    assert_eq!(body.len(), BODY);
    Signer::of("cognigy").sign(body)
}

fn resident(daemon: &Daemon) -> usize {
    usize::try_from(daemon.scrape().count("process_resident_memory_bytes", &[])).unwrap()
}

fn shed(daemon: &Daemon) -> usize {
    let large = |record: &&serde_json::Value| record["reason"] == "overloaded";
    daemon.access().iter().filter(large).count()
}

/// Pushes all but the last byte of `request`.
fn push(mut conn: Conn, request: Request) -> JoinHandle<(Conn, Request)> {
    std::thread::spawn(move || {
        let bytes = request.bytes();
        conn.send(&bytes[..bytes.len() - 1]);
        (conn, request)
    })
}

#[test]
fn a_flood_of_large_bodies_is_bounded() {
    let daemon = Setup::new()
        .set("limits", "body_memory_bytes", &BUDGET.to_string())
        .set("limits", "body_timeout", "\"5m\"")
        .preset("cognigy")
        .start();
    let mut good = daemon.connect();
    accepted(&good.ask(&small()));
    let attackers: Vec<(Conn, Request)> = (0..CONNECTIONS).map(|_| (daemon.connect(), large())).collect();
    let (base, mut peak, mut own) = (resident(&daemon), 0, 0);
    let pushes: Vec<_> = attackers.into_iter().map(|(conn, request)| push(conn, request)).collect();
    while !pushes.iter().all(JoinHandle::is_finished) {
        // While others take the last byte of the budget, a small body is told so, truthfully.
        let answer = good.ask(&small());
        match answer.status {
            503 => {
                assert_refusal(&answer, 503, "overloaded");
                own += 1;
            }
            _ => drop(accepted(&answer)),
        }
        peak = peak.max(resident(&daemon));
    }
    let mut ended: Vec<_> = pushes.into_iter().map(|push| push.join().unwrap()).collect();
    let held = eventually("every body is either held whole or shed", || {
        let held = CONNECTIONS + own - shed(&daemon);
        let charged = daemon.scrape().count("gatepost_body_memory_bytes", &[]);
        (usize::try_from(charged).unwrap() == held * BODY).then_some(held)
    });
    assert!((1..=BUDGET / BODY).contains(&held), "{held}");
    for _ in 0..20 {
        accepted(&good.ask(&small()));
        accepted(&daemon.send(&small()));
    }
    peak = peak.max(resident(&daemon));
    let bound = base + BUDGET + CONNECTIONS * MARGIN_PER_CONNECTION;
    eprintln!("resident: base {base}, peak {peak}, bound {bound}; shed {}, held {held}", CONNECTIONS - held);
    assert!(peak < bound, "{peak} of {bound} bytes, {base} before");
    let mut done = 0;
    for (conn, request) in &mut ended {
        conn.send(&request.body[BODY - 1..]);
        // A client that was shed while it wrote may find a reset where its 503 was.
        if let Some(answer) = conn.try_response() {
            match answer.status {
                503 => assert_refusal(&answer, 503, "overloaded"),
                _ => done += usize::from(accepted(&answer)["duplicate"] == false),
            }
        }
    }
    assert_eq!(done, held, "what was held is accepted");
    eventually("all of it is given back", || {
        (daemon.scrape().count("gatepost_body_memory_bytes", &[]) == 0).then_some(())
    });
}
