//! A database that is cut off, hangs, goes and comes back: no answer lies, nothing counts twice, nobody restarts anything.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::replicas::rig::{Told, database, events, listed, setup};
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Request, Signer, assert_refusal, event, eventually, unique};

/// A request may wait this long for a store that stalls (contract 7).
const STALLED: Duration = Duration::from_secs(10);
const SENDERS: usize = 4;
const CUTS: usize = 24;
/// How long the line stays as it is before the next cut: several commits.
const BETWEEN: Duration = Duration::from_millis(60);

/// What the line does with bytes.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Passes them on.
    Whole = 0,
    /// Loses what the server says: a commit goes through, its answer does not.
    Deaf = 1,
    /// Holds everything back, and keeps connections open.
    Stalled = 2,
}

/// The line between gatepost and PostgreSQL.
struct Wire {
    port: u16,
    state: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Self { port, state: Arc::default(), open: Arc::default() };
        let (state, open) = (Arc::clone(&wire.state), Arc::clone(&wire.open));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // A server that is not there: the connection closes as if it had been refused.
                let Ok(far) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server))) else { continue };
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                open.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                let (there, again) = (Arc::clone(&state), Arc::clone(&state));
                std::thread::spawn(move || pass(near, far, &there, false));
                std::thread::spawn(move || pass(back.0, back.1, &again, true));
            }
        });
        wire
    }

    fn set(&self, line: Line) {
        self.state.store(line as u8, Ordering::SeqCst);
    }

    /// Ends every connection, at whatever byte it is.
    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8, answers: bool) {
    let mut piece = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        while state.load(Ordering::SeqCst) == Line::Stalled as u8 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let lost = answers && state.load(Ordering::SeqCst) == Line::Deaf as u8;
        if !lost && to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// The URL `url` by way of `wire`.
fn by_way_of(wire: &Wire, url: &str, server: u16) -> String {
    url.replace(&format!(":{server}/"), &format!(":{}/", wire.port))
}

/// Sends all, whatever happens; returns those that were not acknowledged.
fn send_all(daemon: &Daemon, all: &Arc<Vec<(String, Request)>>, told: &Arc<Told>, over: &AtomicBool) -> Vec<usize> {
    let senders: Vec<_> = (0..SENDERS)
        .map(|first| {
            let (all, told, mut conn) = (Arc::clone(all), Arc::clone(told), daemon.connect());
            std::thread::spawn(move || {
                let mut unknown = Vec::new();
                for n in (first..all.len()).step_by(SENDERS) {
                    let (id, request) = &all[n];
                    let response = conn.ask(request);
                    if response.status == 200 {
                        told.note(id, &response.json());
                    } else {
                        assert_refusal(&response, 503, "store_unavailable");
                        unknown.push(n);
                    }
                }
                unknown
            })
        })
        .collect();
    let unknown = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    over.store(true, Ordering::SeqCst);
    unknown
}

#[test]
fn connections_cut_in_the_middle_of_commits_make_no_answer_a_lie() {
    let (server, url) = database();
    let wire = Wire::to(server.port());
    let daemon = setup(&by_way_of(&wire, &url, server.port())).start();
    let (told, mut refused, mut sent) = (Arc::new(Told::default()), 0, BTreeSet::new());
    // Until the cuts have hit commits, some of them made with nobody to hear of it: known when sent again.
    while refused < 20 || told.count_of(0, 1) == 0 {
        let (all, over) = (events(2000), AtomicBool::new(false));
        let unknown = std::thread::scope(|scope| {
            scope.spawn(|| cut_until(&wire, &over));
            send_all(&daemon, &all, &told, &over)
        });
        wire.set(Line::Whole);
        eventually("ready again", || (daemon.get("/readyz").status == 200).then_some(()));
        refused += unknown.len();
        let again: Arc<Vec<_>> = Arc::new(unknown.iter().map(|n| all[*n].clone()).collect());
        let left = send_all(&daemon, &again, &told, &AtomicBool::new(false));
        assert!(left.is_empty(), "{} of {} are still refused although the line is whole", left.len(), again.len());
        sent.extend(all.iter().map(|(id, _)| id.clone()));
    }
    told.assert_none_twice();
    assert_eq!(told.acknowledged.lock().unwrap().len(), sent.len(), "every event was acknowledged in the end");
    // Read past the wire; `listed` checks that every id stands there once.
    assert_eq!(listed(&setup(&url)), sent);
}

/// Cuts, at times after having kept the server's answers back: those commits are made and nobody hears of it.
fn cut_until(wire: &Wire, over: &AtomicBool) {
    for n in 0..CUTS {
        std::thread::sleep(BETWEEN);
        if over.load(Ordering::SeqCst) {
            break;
        }
        if n % 2 == 1 {
            wire.set(Line::Deaf);
            std::thread::sleep(BETWEEN);
        }
        wire.cut();
        wire.set(Line::Whole);
    }
}

/// A refusal in time, and a readiness that follows; then `mend`, and both are well again without a restart.
fn unavailable_until(daemon: &Daemon, what: &str, mend: impl FnOnce()) {
    let request = Signer::of("nice").sign(event(&unique()));
    let begun = Instant::now();
    let response = daemon.send(&request);
    assert_refusal(&response, 503, "store_unavailable");
    assert!(begun.elapsed() < STALLED, "{what}: refused after {:?}", begun.elapsed());
    eventually(&format!("{what}: not ready"), || (daemon.get("/readyz").status == 503).then_some(()));
    assert_eq!(daemon.get("/livez").status, 200, "{what}: a restart would not help");
    mend();
    eventually(&format!("{what}: ready again"), || (daemon.get("/readyz").status == 200).then_some(()));
    let response = daemon.send(&request);
    assert_eq!(response.status, 200, "{what}: {response:?}");
    assert_eq!(daemon.send(&request).json()["duplicate"], true, "{what}");
}

#[test]
fn a_database_that_hangs_or_stops_is_a_503_until_it_is_back() {
    let (mut server, url) = database();
    let wire = Wire::to(server.port());
    let daemon = setup(&by_way_of(&wire, &url, server.port())).start();
    let before = Signer::of("nice").sign(event(&unique()));
    assert_eq!(daemon.send(&before).json()["duplicate"], false);

    wire.set(Line::Stalled);
    unavailable_until(&daemon, "hangs", || wire.set(Line::Whole));

    server.crash();
    unavailable_until(&daemon, "stopped", || server.resume());

    assert_eq!(daemon.send(&before).json()["duplicate"], true, "what was acknowledged is there");
    assert_eq!(listed(&setup(&url)).len(), 3);
    // Nothing of this kept a connection from working on.
    let mut conn = Conn::open(daemon.webhook, client_config(&daemon.ca, &["http/1.1"])).unwrap();
    for _ in 0..20 {
        assert_eq!(conn.ask(&Signer::of("nice").sign(event(&unique()))).status, 200);
    }
}
