//! Contract 5, metrics: every series there from the start, every one counting what it says.

use crate::support::sign::{fingerprint, secret_of};
use crate::support::{Setup, Signer, event, eventually, nameless, unique};

const SINK: &str = "[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"http://127.0.1:9/\"\n";

const SERIES: [&str; 35] = [
    "gatepost_ready",
    "gatepost_requests_total",
    "gatepost_refusals_total",
    "gatepost_request_duration_seconds_bucket",
    "gatepost_request_duration_seconds_sum",
    "gatepost_request_duration_seconds_count",
    "gatepost_verification_key_last_used_timestamp_seconds",
    "gatepost_store_commit_duration_seconds_bucket",
    "gatepost_store_commit_duration_seconds_count",
    "gatepost_store_batch_events_bucket",
    "gatepost_store_batch_events_count",
    "gatepost_near_misses_total",
    "gatepost_store_bytes",
    "gatepost_store_free_bytes",
    "gatepost_deliveries_total",
    "gatepost_delivery_backlog",
    "gatepost_delivery_oldest_age_seconds",
    "gatepost_sink_circuit",
    "gatepost_clock_skew_seconds",
    "gatepost_dead_letters",
    "gatepost_siem_callbacks_total",
    "gatepost_siem_backlog",
    "gatepost_quarantine_entries",
    "gatepost_connections",
    "gatepost_tls_handshakes_total",
    "gatepost_tls_certificate_expiry_timestamp_seconds",
    "gatepost_body_memory_bytes",
    "gatepost_reloads_total",
    "gatepost_build_info",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
];

#[test]
fn every_series_is_there_before_the_first_request() {
    let daemon = Setup::every_preset().block(SINK).start();
    let scrape = daemon.scrape();
    for name in SERIES {
        assert!(!scrape.of(name).is_empty(), "no series {name}");
    }
    for source in crate::support::sign::PRESETS {
        for outcome in ["accepted", "duplicate", "quarantined", "handshake", "refused", "shed", "failed"] {
            assert_eq!(scrape.count("gatepost_requests_total", &[("source", source), ("outcome", outcome)]), 0);
        }
        for reason in [
            "method_not_allowed",
            "unsupported_media_type",
            "payload_too_large",
            "ip_not_whitelisted",
            "missing_signature",
            "body_timeout",
            "signature_mismatch",
            "invalid_json",
            "invalid_event_id",
            "store_unavailable",
            "overloaded",
        ] {
            assert_eq!(scrape.count("gatepost_refusals_total", &[("source", source), ("reason", reason)]), 0);
        }
        assert_eq!(scrape.count("gatepost_request_duration_seconds_count", &[("source", source)]), 0);
        let key = if source == "cxone" { "AKIDEXAMPLE".to_owned() } else { fingerprint(&secret_of(source)) };
        assert_eq!(
            scrape.count("gatepost_verification_key_last_used_timestamp_seconds", &[("source", source), ("key", &key)]),
            0
        );
    }
    for outcome in ["ok", "failed"] {
        assert_eq!(scrape.count("gatepost_reloads_total", &[("outcome", outcome)]), 0);
        scrape.count("gatepost_tls_handshakes_total", &[("outcome", outcome)]);
    }
    assert_eq!(scrape.count("gatepost_delivery_backlog", &[("sink", "orders")]), 0);
    assert_eq!(scrape.count("gatepost_dead_letters", &[("sink", "orders")]), 0);
    assert!(scrape.of("gatepost_build_info").iter().all(|series| series.contains("version=")));
    assert!(scrape.count("process_resident_memory_bytes", &[]) > 1_000_000);
}

#[test]
fn requests_count_where_they_belong_and_no_sender_can_add_a_series() {
    let daemon = Setup::new().preset("nice").preset("cognigy").start();
    let series = |scrape: &crate::support::scrape::Scrape| scrape.names().map(str::to_owned).collect::<Vec<_>>();
    let before = series(&daemon.scrape());
    let good = Signer::of("nice").sign(event(&unique()));
    for request in [
        good.clone(),
        good.clone(),
        good.clone().body(b"{}"),
        good.clone().at("/nowhere"),
        good.clone().at("/another/nowhere"),
        good.clone().method("BREW"),
        good.clone().set("Content-Type", "x/y"),
        Signer::of("nice").sign(format!("{{\"eventId\":\"{}\",\"eventType\":\"new-type\"}}", unique())),
    ] {
        daemon.send(&request);
    }
    let requests =
        |outcome: &str| daemon.scrape().count("gatepost_requests_total", &[("source", "nice"), ("outcome", outcome)]);
    let refusals =
        |reason: &str| daemon.scrape().count("gatepost_refusals_total", &[("source", "nice"), ("reason", reason)]);
    eventually("all are counted", || (requests("refused") >= 3).then_some(()));
    assert_eq!((requests("accepted"), requests("duplicate"), requests("refused")), (2, 1, 3));
    assert_eq!(
        (refusals("signature_mismatch"), refusals("method_not_allowed"), refusals("unsupported_media_type")),
        (1, 1, 1)
    );
    let scrape = daemon.scrape();
    assert_eq!(scrape.count("gatepost_request_duration_seconds_count", &[("source", "nice")]), 6);
    assert!(scrape.count("gatepost_store_commit_duration_seconds_count", &[]) >= 1);
    assert!(scrape.count("gatepost_store_batch_events_sum", &[]) >= 2);
    let key = fingerprint(&secret_of("nice"));
    let used =
        scrape.get("gatepost_verification_key_last_used_timestamp_seconds", &[("source", "nice"), ("key", &key)]);
    assert!((used - f64::from(i32::try_from(crate::support::now()).unwrap_or(i32::MAX))).abs() < 60.0, "{used}");
    assert_eq!(series(&scrape), before, "series appeared or went");
}

#[test]
fn connections_come_and_go() {
    let daemon = Setup::new().preset("cognigy").start();
    let of = |name: &str| daemon.scrape().count(name, &[]);
    let mut conns: Vec<_> = (0..3).map(|_| daemon.connect()).collect();
    for conn in &mut conns {
        conn.ask(&Signer::of("cognigy").sign(nameless()));
    }
    eventually("three connections", || (of("gatepost_connections") == 3).then_some(()));
    drop(conns);
    eventually("none", || (of("gatepost_connections") == 0).then_some(()));
}
