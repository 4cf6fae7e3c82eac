//! A copy of the store made beside load, and what a daemon knows that is started on it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::wire::Request;
use crate::support::{Daemon, Setup, Signer, accepted, event, eventually, unique};

const CLIENTS: usize = 3;

/// Sends new events until `stopped`, and keeps those that were accepted.
fn load(daemon: &Daemon, stopped: &AtomicBool, sent: &Mutex<Vec<Request>>) {
    let mut conn = daemon.connect();
    while !stopped.load(Ordering::SeqCst) {
        let request = Signer::of("nice").sign(event(&unique()));
        accepted(&conn.ask(&request));
        sent.lock().unwrap().push(request);
    }
}

#[test]
fn a_copy_made_beside_load_knows_what_was_acknowledged_before_and_runs_in_its_place() {
    // Nothing is delivered before the copy is in place.
    let down = Upstream::start(|_, _| Reply::status(503));
    let sink = |url: &str| format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{url}\"\n");
    let setup = Setup::new().preset("nice").block(&sink(&down.url()));
    let (stopped, sent) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let copy = setup.path("copy.db");
    let mut daemon = setup.start();
    let before = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load(&daemon, &stopped, &sent))).collect();
        let count = || sent.lock().unwrap().len();
        eventually("load", || (count() >= 50).then_some(()));
        let before: Vec<Request> = sent.lock().unwrap().clone();
        let output = setup.run(&["store", "backup", &copy.display().to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let at_end = count();
        eventually("load goes on", || (count() >= at_end + 10).then_some(()));
        stopped.store(true, Ordering::SeqCst);
        for load in loads {
            load.join().unwrap();
        }
        before
    });
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));

    // As the documentation says: in the place of the database, without the files beside it.
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(setup.path(&format!("gatepost.db{end}")));
    }
    std::fs::rename(&copy, setup.path("gatepost.db")).unwrap();
    let up = Upstream::start(|_, _| Reply::status(200));
    let restored = setup.without_block("orders").block(&sink(&up.url()));
    let daemon = restored.start();
    let mut conn = daemon.connect();
    for request in &before {
        assert_eq!(conn.ask(request).json()["duplicate"], true, "what was acknowledged before the copy began");
    }
    accepted(&conn.ask(&Signer::of("nice").sign(event(&unique()))));
    eventually("everything is delivered from the copy", || (up.count() > before.len()).then_some(()));
}
