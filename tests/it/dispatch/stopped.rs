//! The real program stopped for longer than a sink's timeout (SIGSTOP, a frozen container, a suspended machine).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Setup, Signer, accepted, event, eventually, unique};

const EVENTS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(4);

#[test]
fn what_the_sink_answered_meanwhile_is_delivered_and_not_repeated() {
    let may_answer = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&may_answer);
    let upstream = Upstream::start(move |_, _| {
        while !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Reply::status(200)
    });
    let sink = format!(
        "[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\ntimeout = \"{}s\"\nconcurrency = {EVENTS}\n",
        upstream.url(),
        TIMEOUT.as_secs()
    );
    let daemon = Setup::new().preset("nice").block(&sink).start();
    let mut conn = daemon.connect();
    for _ in 0..EVENTS {
        accepted(&conn.ask(&Signer::of("nice").sign(event(&unique()))));
    }
    eventually("all under way", || (upstream.count() == EVENTS).then_some(()));
    daemon.signal(Signal::STOP);
    may_answer.store(true, Ordering::SeqCst);
    std::thread::sleep(TIMEOUT + Duration::from_secs(3));
    daemon.signal(Signal::CONT);
    let ended =
        |outcome| daemon.scrape().count("gatepost_deliveries_total", &[("sink", "orders"), ("outcome", outcome)]);
    eventually("all delivered", || (ended("delivered") == 16).then_some(()));
    assert_eq!((ended("retried"), upstream.count()), (0, EVENTS));
}
