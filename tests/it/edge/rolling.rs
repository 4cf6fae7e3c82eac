//! Restarts behind a proxy that nobody notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use super::fronts::{FRIEND, Front, behind, connect_from};
use crate::support::certs::Ca;
use crate::support::{Daemon, Request, Signer, accepted, event, eventually, unique};

/// Between two requests of one client under steady load.
const PAUSE: Duration = Duration::from_millis(10);

/// Clients that send one signed event after the other until told to stop, and never twice: half of them on kept-alive
/// connections, which they leave when told so, half on a new connection each time.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sends what `request` makes through `proxy`.
    pub(super) fn start(proxy: &impl Front, request: fn() -> Request) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let client = |keeps: bool| {
            let (stop, sent, to, ca) = (Arc::clone(&stop), Arc::clone(&sent), proxy.address(), Arc::clone(proxy.ca()));
            std::thread::spawn(move || {
                let mut kept = None;
                while !stop.load(Ordering::Relaxed) {
                    let mut conn = kept.take().unwrap_or_else(|| connect_from(FRIEND, to, &ca).expect("a connection"));
                    let answer = conn.ask(&request());
                    assert_eq!(accepted(&answer)["duplicate"], false);
                    sent.fetch_add(1, Ordering::Relaxed);
                    if keeps && answer.header("connection") != Some("close") {
                        kept = Some(conn);
                    }
                    std::thread::sleep(PAUSE);
                }
            })
        };
        let clients = [true, false, true, false].map(client).into();
        Self { stop, sent, clients }
    }

    /// Waits until `more` further requests were answered.
    #[track_caller]
    pub(super) fn goes_on(&self, more: u64) {
        let before = self.sent.load(Ordering::Relaxed);
        eventually("requests are answered", || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client met a fault");
            (self.sent.load(Ordering::Relaxed) >= before + more).then_some(())
        });
    }

    /// Ends it; panics where a client met anything but 200.
    pub(super) fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("every request is answered with 200");
        }
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How many events this run of a gatepost accepted, once its log is complete.
fn count(daemon: &Daemon) -> u64 {
    u64::try_from(daemon.access().iter().filter(|record| record["outcome"] == "accepted").count()).unwrap()
}

/// Restarts two gateposts, one after the other, behind the proxy that `start` gives, and under load: nobody notices.
pub(super) fn rolling_restart<F: Front>(proxy_protocol: &str, start: impl FnOnce(&[SocketAddr], &Arc<Ca>) -> F) {
    let ca = Arc::new(Ca::new());
    let pair = [1, 2].map(|serial| {
        let mut setup = behind(proxy_protocol).set("shutdown", "drain_delay", "\"6s\"").preset("nice");
        setup.ca = Arc::clone(&ca);
        ca.leaf(serial).write(&setup.path(""));
        let daemon = setup.start();
        // Started again, it listens where it did.
        (setup.set("listener", "address", &format!("\"{}\"", daemon.webhook)), daemon)
    });
    let servers = [pair[0].1.webhook, pair[1].1.webhook];
    let proxy = start(&servers, &ca);
    let load = Load::start(&proxy, || Signer::of("nice").sign(event(&unique())));
    load.goes_on(50);
    let (mut stored, mut running) = (0, Vec::new());
    for (setup, mut daemon) in pair {
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended().code(), Some(0), "drained in time");
        daemon.kill();
        stored += count(&daemon);
        assert!(count(&daemon) > 0, "it had its share");
        load.goes_on(20);
        let fresh = setup.start();
        eventually("it has its share again", || (count(&fresh) > 0).then_some(()));
        running.push(fresh);
    }
    load.goes_on(50);
    let sent = load.end();
    eventually("every event was accepted once", || {
        (stored + running.iter().map(count).sum::<u64>() == sent).then_some(())
    });
}
