//! Wall clocks that are wrong or jump: nothing is delivered twice, forgotten early, stranded or given up for it.
//!
//! libfaketime moves what the program under test takes for the time, while it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::replicas::rig::{arrivals, database, setup, sink};
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Daemon, Setup, Signer, event, eventually, unique};

const MISSING: &str = "libfaketime is not installed: these tests need the Debian package libfaketime";

/// `setup` with a wall clock that a test may set.
fn with_own_clock(setup: Setup, name: &str) -> Setup {
    let places = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|place| place.path());
    let library = places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    let library: PathBuf = library.expect(MISSING);
    let setup = setup.env("LD_PRELOAD", &library.display().to_string()).env("FAKETIME_NO_CACHE", "1");
    let file = setup.path(name).display().to_string();
    let setup = setup.env("FAKETIME_TIMESTAMP_FILE", &file).env("DONT_FAKE_MONOTONIC", "1");
    set_clock(&setup, name, "+0");
    setup
}

/// Sets it, in relation to the true time: `+100h`, `-2h`.
fn set_clock(setup: &Setup, name: &str, to: &str) {
    // By a rename: what is half written would be another time.
    let fresh = setup.path("clock.new");
    std::fs::write(&fresh, format!("{to}\n")).unwrap();
    std::fs::rename(fresh, setup.path(name)).unwrap();
}

fn skew(daemon: &Daemon) -> f64 {
    daemon.scrape().get("gatepost_clock_skew_seconds", &[])
}

fn is_told(daemon: &Daemon, words: &str) -> bool {
    daemon.logs().iter().any(|record| record["message"].as_str().is_some_and(|text| text.contains(words)))
}

#[test]
fn a_clock_that_jumps_strands_and_kills_no_delivery() {
    let up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&up);
    let upstream = Upstream::start(move |_, _| {
        let well = answers.load(Ordering::SeqCst);
        if well { Reply::status(200) } else { Reply::Status(503, "Retry-After: 1\r\n", Vec::new()) }
    });
    let setup = with_own_clock(Setup::new().preset("nice").block(&sink(&upstream)), "clock");
    let daemon = setup.start();
    let body = Signer::of("nice").sign(event(&unique()));
    assert_eq!(daemon.send(&body).status, 200);
    for (jump, ahead) in [("+10d", 864_000.0), ("-2h", -7200.0), ("+100h", 360_000.0)] {
        set_clock(&setup, "clock", jump);
        eventually("the skew", || ((skew(&daemon) - ahead).abs() < 60.0).then_some(()));
        let before = upstream.count();
        eventually("another attempt", || (upstream.count() > before).then_some(()));
        assert_eq!(daemon.scrape().count("gatepost_dead_letters", &[("sink", "orders")]), 0, "{jump}");
    }
    assert!(is_told(&daemon, "clock differs from the store's"));
    set_clock(&setup, "clock", "+0");
    eventually("the skew", || (skew(&daemon).abs() < 60.0).then_some(()));
    eventually("its end", || is_told(&daemon, "agrees with the store's again").then_some(()));
    up.store(true, Ordering::SeqCst);
    let orders = [("sink", "orders")];
    eventually("delivery", || (daemon.scrape().count("gatepost_delivery_backlog", &orders) == 0).then_some(()));
    assert_eq!(daemon.send(&body).json()["duplicate"], true);
}

/// With the monotonic clock moved along, what happens every minute happens at once: retention as well.
#[test]
fn a_clock_that_was_far_ahead_forgets_no_id() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = with_own_clock(Setup::new().preset("nice").block(&sink(&upstream)), "clock");
    let setup = setup.env("DONT_FAKE_MONOTONIC", "0");
    let daemon = setup.start();
    let request = Signer::of("nice").sign(event(&unique()));
    assert_eq!(daemon.send(&request).json()["duplicate"], false);
    eventually("delivery", || (upstream.count() == 1).then_some(()));
    for jump in ["+100h", "+200h", "+300h"] {
        set_clock(&setup, "clock", jump);
        std::thread::sleep(Duration::from_secs(2));
    }
    // A restart in between reads the clock again.
    drop(daemon);
    let daemon = setup.start();
    std::thread::sleep(Duration::from_secs(1));
    drop(daemon);
    set_clock(&setup, "clock", "+0");
    let daemon = setup.start();
    assert_eq!(daemon.send(&request).json()["duplicate"], true);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(upstream.count(), 1);
}

#[test]
fn replicas_with_different_clocks_deliver_everything_once() {
    let (_server, url) = database();
    let upstream = Upstream::start(|_, _| {
        std::thread::sleep(Duration::from_millis(300));
        Reply::status(200)
    });
    let right = setup(&url).block(&sink(&upstream));
    let wrong = with_own_clock(setup(&url).block(&sink(&upstream)), "clock");
    set_clock(&wrong, "clock", "+60s");
    let (one, two) = (right.start(), wrong.start());
    let signer = Signer::of("nice");
    let ids: Vec<String> = (0..40).map(|_| unique()).collect();
    for (n, id) in ids.iter().enumerate() {
        let to = if n % 2 == 0 { &one } else { &two };
        assert_eq!(to.send(&signer.sign(event(id))).status, 200);
    }
    let orders = [("sink", "orders")];
    eventually("all of them", || (arrivals(&upstream).len() == ids.len()).then_some(()));
    eventually("nothing left", || (two.scrape().count("gatepost_delivery_backlog", &orders) == 0).then_some(()));
    assert_eq!(upstream.count(), ids.len());
    eventually("the skew", || ((skew(&two) - 60.0).abs() < 10.0).then_some(()));
    assert!(skew(&one).abs() < 10.0);
}
