//! The real program killed in the middle of deliveries: the next start delivers the rest, repeats only what was under way,
//! under the same ids, and sends the audit records that were waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Setup, Signer, event, eventually, unique};

const EVENTS: usize = 200;
const CONCURRENCY: usize = 8;

fn arrivals(upstream: &Upstream) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for request in upstream.seen() {
        *counts.entry(request.header("ce-id").unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn sink(name: &str, url: &str) -> String {
    format!(
        "[[sink]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"{url}\"\ntimeout = \"1s\"\nconcurrency = {CONCURRENCY}\n"
    )
}

#[test]
fn deliveries_go_on_after_kill_9_with_the_same_ids() {
    let slow = Upstream::start(|_, _| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::status(200)
    });
    let setup = Setup::new().preset("nice").block(&sink("orders", &slow.url()));
    let mut daemon = setup.start();
    let mut conn = daemon.connect();
    let ids: Vec<String> = (0..EVENTS).map(|_| unique()).collect();
    for id in &ids {
        assert_eq!(conn.ask(&Signer::of("nice").sign(event(id))).status, 200);
    }
    eventually("some deliveries", || (slow.count() >= 20).then_some(()));
    daemon.kill();
    let before = arrivals(&slow);
    assert!(before.len() < EVENTS, "killed too late");
    let daemon = setup.start();
    eventually("everything", || (arrivals(&slow).len() == EVENTS).then_some(()));
    eventually("an empty backlog", || {
        (daemon.scrape().count("gatepost_delivery_backlog", &[("sink", "orders")]) == 0).then_some(())
    });
    let arrivals = arrivals(&slow);
    for id in &ids {
        assert!(arrivals.contains_key(&format!("nice:{id}")), "{id} was lost");
    }
    let repeated = arrivals.values().filter(|count| **count > 1).count();
    // Under way, or delivered and not yet written down, when it was killed.
    assert!(repeated <= 2 * CONCURRENCY, "{repeated} repeated");
}

#[test]
fn audit_records_wait_for_the_siem_over_kill_9_and_shutdown_is_prompt() {
    let up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&up);
    let siem = Upstream::start(move |_, _| Reply::status(if answers.load(Ordering::SeqCst) { 200 } else { 503 }));
    let block = format!("[siem]\nurl = \"{}\"\n", siem.url());
    let setup = Setup::new().preset("nice").block(&block);
    let mut daemon = setup.start();
    let mut conn = daemon.connect();
    for _ in 0..30 {
        assert_eq!(conn.ask(&Signer::of("nice").sign(event(&unique()))).status, 200);
    }
    eventually("a backlog", || (daemon.scrape().count("gatepost_siem_backlog", &[]) == 30).then_some(()));
    daemon.kill();
    up.store(true, Ordering::SeqCst);
    let mut daemon = setup.start();
    let taken = || -> usize {
        // Those of the refused attempts are repeated, so only the last ones count.
        let batches = siem.seen().into_iter().rev();
        batches.map(|batch| serde_json::from_slice::<Vec<Value>>(&batch.body).unwrap().len()).next().unwrap_or(0)
    };
    eventually("an empty backlog", || {
        (daemon.scrape().count("gatepost_siem_backlog", &[]) == 0 && taken() > 0).then_some(())
    });
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0), "drained in time although routes still hold the way to the SIEM");
}
