//! Two replicas, one pause: neither delivers from its commit on, both notice, and both go on when it ends.

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Signer, accepted, event, eventually, unique};

use super::rig::{database, setup, sink};

#[test]
fn a_pause_holds_for_every_replica() {
    let (_server, url) = database();
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = setup(&url).block(&sink(&upstream));
    let (one, two) = (setup.start(), setup.start());
    let output = setup.run(&["sinks", "pause", "orders", "--operator", "ann"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let signer = Signer::of("nice");
    for n in 0..20 {
        let to = if n % 2 == 0 { &one } else { &two };
        accepted(&to.send(&signer.sign(event(&unique()))));
    }
    for daemon in [&one, &two] {
        eventually("the gauges", || {
            let scrape = daemon.scrape();
            let of = |name: &str| scrape.count(name, &[("sink", "orders")]);
            (of("gatepost_sink_paused") == 1 && of("gatepost_delivery_backlog") == 20).then_some(())
        });
    }
    assert_eq!(upstream.count(), 0);
    let output = setup.run(&["sinks", "resume", "orders", "--operator", "ann"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually("the deliveries", || (upstream.count() == 20).then_some(()));
    for daemon in [&one, &two] {
        eventually("the gauge", || {
            (daemon.scrape().count("gatepost_sink_paused", &[("sink", "orders")]) == 0).then_some(())
        });
    }
}
