//! Spans of requests and of attempts at deliveries, as a collector gets them, and what senders and sinks notice of it.

use rustix::process::Signal;

use crate::support::collector::{Collector, Seen, spans};
use crate::support::sign::secret_of;
use crate::support::sink_upstream::{Reply, Upstream, nowhere};
use crate::support::{Daemon, MARKER, Request, Setup, Signer, accepted, event, eventually, unique};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const TOLD: &str = "the collector does not take traces";

fn traceparent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// Source `nice` and the sink `orders`, nothing traced.
fn untraced(sink: &Upstream) -> Setup {
    let orders = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", sink.url());
    Setup::new().preset("nice").block(&orders).env("OTEL_BSP_SCHEDULE_DELAY", "20")
}

fn traced(sink: &Upstream, collector: &Collector) -> Setup {
    untraced(sink).set("telemetry", "otlp_endpoint", &collector.endpoint())
}

fn ok() -> Upstream {
    Upstream::start(|_, _| Reply::status(202))
}

/// A valid request with these headers more.
fn with(headers: &[(&str, &str)]) -> Request {
    let request = Signer::of("nice").sign(event(&unique()));
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Sends it; gives the span of the request and the first one of an attempt at its delivery.
#[track_caller]
fn both(daemon: &Daemon, collector: &Collector, request: &Request) -> (Seen, Seen) {
    let before = collector.spans().len();
    accepted(&daemon.send(request));
    let found = collector.wait_for(before + 2, |_| true).split_off(before);
    let one = |is: fn(&Seen) -> bool| found.iter().find(|seen| is(seen)).unwrap().clone();
    (one(Seen::is_server), one(Seen::is_client))
}

#[test]
fn a_request_and_every_attempt_at_its_delivery_are_one_trace_that_the_sink_is_told_of() {
    let sink = Upstream::start(|number, _| Reply::status(if number == 0 { 503 } else { 202 }));
    let collector = Collector::start();
    let daemon = traced(&sink, &collector).start();
    let signer = Signer::of("nice").target("/webhooks/nice?api_key=hunter2hunter2");
    let request = signer.sign(event(&unique())).header("traceparent", &traceparent()).header("tracestate", "a=1,b=2");
    let id = accepted(&daemon.send(&request))["id"].as_str().unwrap().to_owned();
    let attempts = collector.wait_for(2, Seen::is_client);
    let [request] = &collector.wait_for(1, Seen::is_server)[..] else { panic!("one span a request") };

    assert_eq!((&*request.trace_id(), &*request.parent_id(), &*request.span.trace_state), (TRACE, SPAN, "a=1,b=2"));
    assert_eq!(request.span.name, "POST /webhooks/nice");
    assert!(request.span.start_time_unix_nano <= request.span.end_time_unix_nano && !request.is_error());
    let record = &daemon.access()[0];
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/webhooks/nice"),
        ("http.response.status_code", "200"),
        ("url.scheme", "https"),
        ("url.path", "/webhooks/nice"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("error.type", ""),
        ("gatepost.source", "nice"),
        ("gatepost.outcome", "accepted"),
        ("gatepost.reason", ""),
        ("gatepost.event_id", &id),
        ("gatepost.request_id", record["request_id"].as_str().unwrap()),
    ] {
        assert_eq!(request.says(name), value, "{name}");
    }
    assert!(!request.says("server.address").is_empty());

    for (number, (attempt, received)) in attempts.iter().zip(sink.seen()).enumerate() {
        assert_eq!((attempt.trace_id(), attempt.parent_id()), (TRACE.to_owned(), request.span_id()));
        assert_eq!(attempt.span.name, "deliver orders");
        assert_eq!(received.header("traceparent"), Some(&*attempt.traceparent()));
        assert_eq!(attempt.says("gatepost.attempt"), (number + 1).to_string());
        assert_eq!((attempt.says("gatepost.sink"), attempt.says("gatepost.event_id")), ("orders", &*id));
        let status = if number == 0 { "503" } else { "202" };
        assert_eq!(attempt.says("http.response.status_code"), status);
        assert_eq!(
            (attempt.is_error(), attempt.says("error.type")),
            (number == 0, if number == 0 { "503" } else { "" })
        );
    }
    let all = format!("{:?}", collector.spans());
    for hidden in [MARKER, "hunter2", &secret_of("nice")] {
        assert!(!all.contains(hidden), "{hidden} went to the collector");
    }
}

#[test]
fn a_trace_is_taken_up_from_b3_too_and_begun_where_there_is_none() {
    let (sink, collector) = (ok(), Collector::start());
    let daemon = traced(&sink, &collector).start();
    let linked = |headers: &[(&str, &str)], trace: &str| {
        let (request, attempt) = both(&daemon, &collector, &with(headers));
        assert_eq!((request.trace_id(), request.parent_id()), (trace.to_owned(), SPAN.to_owned()), "{headers:?}");
        assert_eq!((attempt.trace_id(), attempt.parent_id()), (trace.to_owned(), request.span_id()));
    };
    linked(&[("b3", &format!("{TRACE}-{SPAN}-1"))], TRACE);
    linked(&[("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), ("X-B3-Sampled", "1")], TRACE);
    linked(&[("X-B3-TraceId", &TRACE[16..]), ("X-B3-SpanId", SPAN)], &format!("{}{}", "0".repeat(16), &TRACE[16..]));
    linked(&[("traceparent", "00-what"), ("b3", &format!("{TRACE}-{SPAN}"))], TRACE);
    for headers in
        [&[][..], &[("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")], &[("b3", "0")]]
    {
        let (request, attempt) = both(&daemon, &collector, &with(headers));
        assert!(request.parent_id().is_empty() && request.trace_id() != TRACE, "{headers:?}");
        assert_eq!((attempt.trace_id(), attempt.parent_id()), (request.trace_id(), request.span_id()));
    }
}

#[test]
fn what_is_refused_is_a_span_and_no_error_of_ours() {
    let (sink, collector) = (ok(), Collector::start());
    let daemon = traced(&sink, &collector).start();
    daemon.send(&Signer::of("nice").secret("another-secret-of-somebody").sign(event(&unique())));
    daemon.send(&with(&[]).at("/nowhere?token=hunter2hunter2"));
    daemon.send(&with(&[]).method("BREW"));
    for (reason, name, method, status) in [
        ("signature_mismatch", "POST /webhooks/nice", "POST", "401"),
        ("not_found", "POST", "POST", "404"),
        ("method_not_allowed", "HTTP /webhooks/nice", "_OTHER", "405"),
    ] {
        let [span] = &collector.wait_for(1, |seen| seen.says("gatepost.reason") == reason)[..] else {
            panic!("{reason}")
        };
        assert_eq!((&*span.span.name, span.says("http.request.method")), (name, method));
        assert_eq!((span.says("http.response.status_code"), span.says("error.type")), (status, ""));
        assert!(!span.is_error() && !format!("{span:?}").contains("hunter2"), "{span:?}");
    }
}

#[test]
fn what_the_sender_does_not_record_is_not_recorded_here_and_the_sink_is_told_so() {
    let (sink, collector) = (ok(), Collector::start());
    let daemon = traced(&sink, &collector).start();
    accepted(&daemon.send(&with(&[("traceparent", &format!("00-{TRACE}-{SPAN}-00"))])));
    eventually("the delivery", || (sink.count() == 1).then_some(()));
    let told = sink.seen()[0].header("traceparent").unwrap().to_owned();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00") && !told.contains(SPAN), "{told}");
    let (request, _) = both(&daemon, &collector, &with(&[]));
    assert_ne!(request.trace_id(), TRACE);
    assert_eq!(collector.spans().len(), 2);
}

#[test]
fn a_reload_turns_it_on_and_off_and_off_changes_nothing() {
    let (sink, collector) = (ok(), Collector::start());
    let setup = untraced(&sink);
    let daemon = setup.start();
    let request = || with(&[("traceparent", &traceparent())]);
    let told = |count: usize| {
        eventually("the delivery", || (sink.count() == count).then_some(()));
        sink.seen()[count - 1].header("traceparent").unwrap().to_owned()
    };
    accepted(&daemon.send(&request()));
    assert_eq!(told(1), traceparent());

    let setup = setup.set("telemetry", "otlp_endpoint", &collector.endpoint());
    assert_eq!(daemon.reload(&setup), "[telemetry] added");
    let (of_request, of_attempt) = both(&daemon, &collector, &request());
    assert_eq!((of_request.parent_id(), of_attempt.parent_id()), (SPAN.to_owned(), of_request.span_id()));
    assert_eq!(told(2), of_attempt.traceparent());

    let setup = setup.without_section("telemetry");
    assert_eq!(daemon.reload(&setup), "[telemetry] removed");
    accepted(&daemon.send(&request()));
    assert_eq!(told(3), traceparent());

    let another = Collector::start();
    let setup = setup.set("telemetry", "otlp_endpoint", &another.endpoint());
    assert_eq!(daemon.reload(&setup), "[telemetry] added");
    both(&daemon, &another, &request());
    assert_eq!(collector.spans().len(), 2);
    assert_eq!(daemon.scrape().count("gatepost_otlp_spans_dropped_total", &[]), 0);
}

#[test]
fn a_collector_that_is_down_costs_no_webhook_and_one_line_a_minute() {
    let sink = ok();
    let endpoint = format!("\"http://{}\"", nowhere());
    let mut daemon = untraced(&sink).set("telemetry", "otlp_endpoint", &endpoint).start();
    for _ in 0..20 {
        accepted(&daemon.send(&with(&[])));
    }
    eventually("all deliveries", || (sink.count() == 20).then_some(()));
    eventually("a word", || (daemon.told(TOLD) > 0).then_some(()));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));
    assert_eq!(daemon.told(TOLD), 1);
}

#[test]
fn a_collector_that_hangs_holds_up_no_drain() {
    let (sink, collector) = (ok(), Collector::answering(|_, _| Reply::Stall));
    let mut daemon = traced(&sink, &collector).start();
    accepted(&daemon.send(&with(&[])));
    eventually("a request to the collector", || (collector.0.count() > 0).then_some(()));
    accepted(&daemon.send(&with(&[])));
    eventually("all deliveries", || (sink.count() == 2).then_some(()));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0), "drained in time");
    assert_eq!(daemon.told("traces are incomplete"), 1);
}

#[test]
fn a_drain_sends_what_has_gathered() {
    let (sink, collector) = (ok(), Collector::start());
    let mut daemon = traced(&sink, &collector).env("OTEL_BSP_SCHEDULE_DELAY", "3600000").start();
    for _ in 0..600 {
        accepted(&daemon.send(&with(&[])));
    }
    eventually("all deliveries", || (sink.count() == 600).then_some(()));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0));
    let count = |is: fn(&Seen) -> bool| collector.spans().iter().filter(|seen| is(seen)).count();
    assert_eq!((count(Seen::is_server), count(Seen::is_client)), (600, 600));
    assert_eq!(collector.0.count(), 3, "in batches");
}

#[test]
fn a_batch_that_a_collector_cannot_take_now_is_sent_again_and_one_that_it_refuses_is_dropped() {
    let sink = ok();
    let collector = Collector::answering(|number, _| match number {
        0 => Reply::Status(429, "Retry-After: 1\r\n", Vec::new()),
        1 => Reply::status(400),
        _ => Reply::status(200),
    });
    let setup = traced(&sink, &collector).without_block("[[sink]]");
    let daemon = setup.start();
    let dropped = || daemon.scrape().count("gatepost_otlp_spans_dropped_total", &[]);
    accepted(&daemon.send(&with(&[])));
    eventually("a second request", || (collector.0.count() == 2).then_some(()));
    let sent: Vec<String> = collector.0.seen().iter().map(|request| spans(request)[0].span_id()).collect();
    assert_eq!(sent[0], sent[1], "the same span");
    eventually("it is counted", || (dropped() == 1).then_some(()));
    accepted(&daemon.send(&with(&[])));
    eventually("a third request", || (collector.0.count() == 3).then_some(()));
    assert!(!sent.contains(&spans(&collector.0.seen()[2])[0].span_id()), "what was refused is not sent again");
    assert_eq!((dropped(), daemon.told(TOLD)), (1, 1));
}

#[test]
fn the_standard_variables_say_where_and_as_whom() {
    let (sink, collector) = (ok(), Collector::start());
    let setup = untraced(&sink);
    let headers = setup.write("headers", "api-key=hunter2-hunter2%21,x-team=a\n");
    let daemon = setup
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}/below/", collector.0.address))
        .env("OTEL_EXPORTER_OTLP_HEADERS_FILE", headers.trim_matches('"'))
        .env("OTEL_SERVICE_NAME", "hooks")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .start();
    let (request, _) = both(&daemon, &collector, &with(&[]));
    assert_eq!(request.resource["service.name"], "hooks");
    assert_eq!(request.resource["deployment.environment.name"], "test");
    let received = &collector.0.seen()[0];
    assert_eq!(received.line, "POST /below/v1/traces HTTP/1.1");
    assert_eq!(received.header("content-type"), Some("application/x-protobuf"));
    assert_eq!((received.header("api-key"), received.header("x-team")), (Some("hunter2-hunter2!"), Some("a")));
    assert!(daemon.logs().iter().all(|record| !record.to_string().contains("hunter2")));
}
