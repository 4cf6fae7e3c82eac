//! `keep_headers`: what of a request's head stays with its event, what never does, and the type that a header gives.

use std::collections::BTreeMap;

use gatepost::config::load;
use serde_json::{Value, json};

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Daemon, MARKER, Request, Setup, Signer, accepted, event, eventually, nameless, unique};

/// A value that no log line may hold.
const VALUE: &str = "kept-value-that-no-log-line-may-hold";

fn setup(names: &str) -> Setup {
    Setup::new().preset("nice").replace("preset = \"nice\"", &format!("preset = \"nice\"\nkeep_headers = {names}"))
}

#[track_caller]
fn text(setup: &Setup, arguments: &[&str]) -> String {
    let output = setup.run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("stdout is UTF-8")
}

#[track_caller]
fn shown(setup: &Setup, id: &str) -> Value {
    serde_json::from_str(&text(setup, &["events", "show", id, "--json"])).expect("JSON on stdout")
}

fn request(id: &str) -> Request {
    Signer::of("nice").sign(event(id))
}

/// Has `request` accepted, and gives the headers that are kept of it.
#[track_caller]
fn kept(setup: &Setup, daemon: &Daemon, id: &str, request: &Request) -> Value {
    assert_eq!(accepted(&daemon.send(request))["duplicate"], false);
    shown(setup, id)["headers"].clone()
}

#[test]
fn named_headers_are_kept_in_order_with_every_value_and_no_others() {
    let setup = setup(r#"["X-Type", "x-empty", "X-Repeated", "User-Agent", "X-Absent"]"#);
    let daemon = setup.start();
    let id = unique();
    let request = request(&id)
        .header("x-repeated", "b")
        .header("X-Other", VALUE)
        .header("X-REPEATED", "a, c")
        .header("user-agent", "CXone/1")
        .header("x-type", "page:update \"1\"")
        .header("X-Repeated", "b")
        .header("X-Empty", "");
    let expected = json!([
        ["x-type", "page:update \"1\""],
        ["x-empty", ""],
        ["x-repeated", "b"],
        ["x-repeated", "a, c"],
        ["x-repeated", "b"],
        ["user-agent", "CXone/1"]
    ]);
    assert_eq!(kept(&setup, &daemon, &id, &request), expected);
    let listed: Value = serde_json::from_str(&text(&setup, &["events", "list", "--json"])).expect("JSON on stdout");
    assert_eq!(listed[0]["headers"], expected);
    let words = text(&setup, &["events", "show", &id]);
    assert!(words.contains("x-type: page:update \"1\"\n"), "{words}");
    let none = unique();
    assert_eq!(kept(&setup, &daemon, &none, &self::request(&none)), json!([]));
}

#[test]
fn events_are_found_by_a_kept_header() {
    let setup = setup(r#"["X-Type", "X-Tenant"]"#);
    let daemon = setup.start();
    for (id, kind) in [("e1", "a"), ("e2", "b"), ("e3", "a")] {
        accepted(&daemon.send(&request(id).header("X-Type", kind).header("X-Tenant", "t=1")));
    }
    accepted(&daemon.send(&request("e4")));
    let found = |header: &str| -> Vec<String> {
        let listed = text(&setup, &["events", "list", "--json", "--header", header]);
        let rows: Vec<Value> = serde_json::from_str(&listed).expect("one array");
        rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(found("X-Type=a"), ["e3", "e1"]);
    assert_eq!(found("x-tenant=t=1"), ["e3", "e2", "e1"]);
    for none in ["X-Type=", "X-Type=aa", "Type=a", "X-Tenant=t"] {
        assert!(found(none).is_empty(), "{none}");
    }
    let replayed = text(&setup, &["events", "replay", "e1", "e2", "--header", "X-Type=a", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&replayed).expect("JSON")[0]["events"], 1);
    for wrong in ["X-Type", "=a", "X Type=a", "X-Type=a\nb"] {
        assert_eq!(setup.run(&["events", "list", "--header", wrong]).status.code(), Some(64), "{wrong:?}");
    }
}

#[test]
fn more_than_four_kibibytes_leave_whole_headers_out_and_are_told_by_name_alone() {
    let setup = setup(r#"["X-First", "X-Large", "X-Last"]"#);
    let daemon = setup.start();
    let large = format!("{VALUE}{}", "x".repeat(4096 - 7 - 5 - 7 - VALUE.len()));
    let id = unique();
    let sent = |large: &str, id: &str| request(id).header("X-First", "first").header("X-Large", large);
    let all = kept(&setup, &daemon, &id, &sent(&large, &id));
    assert_eq!(all, json!([["x-first", "first"], ["x-large", large]]), "4096 bytes of names and values");
    assert_eq!(daemon.told("keep_headers"), 0);
    let id = unique();
    let some = kept(&setup, &daemon, &id, &sent(&format!("{large}x"), &id).header("X-Last", "last"));
    assert_eq!(some, json!([["x-first", "first"], ["x-last", "last"]]));
    let warning = eventually("the warning", || daemon.logs().into_iter().find(|record| record["headers"] == "x-large"));
    assert_eq!((&warning["level"], &warning["source"]), (&json!("WARN"), &json!("nice")));
    assert!(!daemon.out().contains(VALUE), "what is kept is not logged");
}

#[test]
fn what_is_no_utf_8_is_shown_as_latin_1_and_reaches_a_sink_byte_for_byte() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    let setup = setup(r#"["X-A", "X-B", "X-C"]"#).block(&sink);
    let daemon = setup.start();
    let id = unique();
    let mut request = request(&id).header("X-A", "Zo\u{eb} \u{1f600}").header("X-C", "a\tb");
    let body = std::mem::take(&mut request.body);
    let head = request.header("Content-Length", &body.len().to_string()).head();
    let bytes = [&head[..head.len() - 2], b"X-B: Zo\xeb \x9b2J\r\n\r\n", &body[..]].concat();
    assert_eq!(daemon.send_raw(&bytes)[0].status, 200);
    let expected = json!([["x-a", "Zo\u{eb} \u{1f600}"], ["x-b", "Zo\u{eb} \u{9b}2J"], ["x-c", "a\tb"]]);
    assert_eq!(shown(&setup, &id)["headers"], expected);
    let words = text(&setup, &["events", "show", &id]);
    assert!(words.contains("x-b: Zo\u{eb} \\u{9b}2J\n"), "a terminal would obey it: {words}");
    let seen = eventually("the delivery", || upstream.seen().pop());
    // One character a byte.
    assert_eq!(seen.header("x-b"), Some("Zo\u{eb} \u{9b}2J"));
    assert_eq!(seen.header("x-a"), Some("Zo\u{c3}\u{ab} \u{f0}\u{9f}\u{98}\u{80}"));
}

#[test]
fn a_second_request_changes_nothing_of_what_the_first_left() {
    let setup = setup(r#"["X-Type"]"#);
    let daemon = setup.start();
    let id = unique();
    kept(&setup, &daemon, &id, &request(&id).header("X-Type", "first"));
    let again = accepted(&daemon.send(&request(&id).header("X-Type", "second")));
    assert_eq!(again["duplicate"], true);
    let other =
        Signer::of("nice").sign(json!({ "eventId": id, "other": MARKER }).to_string()).header("X-Type", "third");
    assert_eq!(accepted(&daemon.send(&other))["status"], "quarantined");
    assert_eq!(shown(&setup, &id)["headers"], json!([["x-type", "first"]]));
}

#[test]
fn a_released_request_keeps_its_headers_too() {
    let setup = setup(r#"["X-Type"]"#);
    let daemon = setup.start();
    let id = unique();
    let forged = Signer::of("nice").secret("wrong-secret-0123456789").sign(event(&id)).header("X-Type", "page:update");
    assert_eq!(daemon.send(&forged).status, 401);
    let entry = eventually("the refused request", || {
        let listed: Vec<Value> =
            serde_json::from_str(&text(&setup, &["quarantine", "list", "--json"])).expect("one array");
        listed.first().map(|entry| entry["id"].to_string())
    });
    text(&setup, &["quarantine", "release", &entry, "--operator", "ann"]);
    assert_eq!(shown(&setup, &id)["headers"], json!([["x-type", "page:update"]]));
}

#[test]
fn the_type_of_an_expert_event_is_the_header_or_the_preset_s_name() {
    let setup = Setup::new().preset("cxone-expert");
    let daemon = setup.start();
    let of = |headers: &[(&str, &str)]| {
        let signed = Signer::of("cxone-expert").sign(nameless());
        let request = headers.iter().fold(signed, |request, (name, value)| request.header(name, value));
        let id = accepted(&daemon.send(&request))["id"].as_str().expect("an id").to_owned();
        let event = shown(&setup, &id);
        (event["type"].as_str().expect("a type").to_owned(), event["headers"].clone())
    };
    let (kind, headers) =
        of(&[("X-Nexus-Event-Type", "page:update"), ("X-Nexus-Delivery-Id", "d-1"), ("X-Nexus-Other", "o")]);
    assert_eq!(kind, "page:update");
    assert_eq!(headers, json!([["x-nexus-event-type", "page:update"], ["x-nexus-delivery-id", "d-1"]]));
    assert_eq!(of(&[]), ("cxone-expert".to_owned(), json!([])));
    for unfit in ["", "a\tb", "Zo\u{eb}"] {
        assert_eq!(of(&[("X-Nexus-Event-Type", unfit)]).0, "cxone-expert", "{unfit:?}");
    }
    let long = "x".repeat(300);
    let (kind, headers) = of(&[("X-Nexus-Event-Type", &long)]);
    assert_eq!((kind.as_str(), &headers[0][1]), (&long[..256], &json!(long)), "a type is cut, what is kept is not");
}

#[test]
fn an_expert_event_goes_to_the_sinks_that_want_its_type_with_its_headers() {
    let (created, rest) = (Upstream::start(|_, _| Reply::status(200)), Upstream::start(|_, _| Reply::status(200)));
    let sink = |name: &str, to: &Upstream, kind: &str| {
        let url = to.url();
        format!("[[sink]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"{url}\"\nevent_types = [\"{kind}\"]\n")
    };
    let setup = Setup::new().preset("cxone-expert").block(&sink("created", &created, "Page_Create"));
    let daemon = setup.block(&sink("rest", &rest, "cxone-expert")).start();
    let signed = || Signer::of("cxone-expert").sign(nameless());
    let typed = signed().header("X-Nexus-Event-Type", "Page_Create").header("X-Nexus-Delivery-Id", "d-1");
    accepted(&daemon.send(&typed));
    accepted(&daemon.send(&signed()));
    let seen = eventually("the delivery", || created.seen().pop());
    let header = |name: &str| seen.header(name);
    assert_eq!((header("ce-type"), header("x-nexus-event-type")), (Some("Page_Create"), Some("Page_Create")));
    assert_eq!((header("x-nexus-delivery-id"), header("x-nexus-signature-256")), (Some("d-1"), None));
    let seen = eventually("the other delivery", || rest.seen().pop());
    assert_eq!((seen.header("ce-type"), seen.header("x-nexus-event-type")), (Some("cxone-expert"), None));
    assert_eq!((created.count(), rest.count()), (1, 1));
}

/// What `lines` in the table of a source make of the configuration: its errors and its warnings.
fn told(preset: &str, lines: &str) -> (Vec<String>, Vec<String>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let head = format!("name = \"a\"\npreset = \"{preset}\"\npath = \"/a\"\nallowed_ips = [\"192.0.2.1\"]");
    std::fs::write(file.path(), format!("[[source]]\n{head}\n{lines}\n")).expect("a file");
    let vars = [("TLS_CERT_FILE", "/c"), ("TLS_KEY_FILE", "/k"), ("SECRET", "a-secret-of-sufficient-length")];
    let vars: BTreeMap<_, _> = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    match load(Some(file.path()), &vars) {
        Ok(config) => (Vec::new(), config.warnings),
        Err(errors) => (errors.0.iter().map(ToString::to_string).collect(), Vec::new()),
    }
}

const SECRETS: &str = "secrets = [{ env = \"SECRET\" }]";
const TOKENS: &str = "tokens = [{ env = \"SECRET\" }]";

#[test]
fn at_most_sixteen_names_each_once_and_none_of_a_credential() {
    let nice = |names: &str| told("nice", &format!("{SECRETS}\nkeep_headers = {names}")).0;
    let names = |count: usize| format!("{:?}", (0..count).map(|n| format!("X-{n}")).collect::<Vec<_>>());
    assert_eq!(nice(&names(16)), [""; 0]);
    assert_eq!(nice("[]"), [""; 0]);
    assert_eq!(nice(&names(17)), ["source[0].keep_headers: names 17 headers: at most 16 are kept"]);
    for (wrong, at, why) in [
        (r#"["X-A", "x-a"]"#, "keep_headers[1]", "twice"),
        (r#"["X-A", "a b"]"#, "keep_headers[1]", "the name of a header"),
        (r#"["X-A:"]"#, "keep_headers[0]", "the name of a header"),
        (r#"["ä"]"#, "keep_headers[0]", "the name of a header"),
        (r#"[""]"#, "keep_headers[0]", "the name of a header"),
        ("[1]", "keep_headers[0]", "a string"),
        (r#""X-A""#, "keep_headers", "a list"),
        (r#"["X-NICE-Signature"]"#, "keep_headers[0]", "signature"),
        (r#"["Authorization"]"#, "keep_headers[0]", "credential"),
        (r#"["Proxy-Authorization"]"#, "keep_headers[0]", "credential"),
        (r#"["Cookie"]"#, "keep_headers[0]", "credential"),
        (r#"["X-Amz-Security-Token"]"#, "keep_headers[0]", "credential"),
        (r#"["X-Api-Key"]"#, "keep_headers[0]", "credential"),
    ] {
        let errors = nice(wrong);
        let fits = errors.len() == 1 && errors[0].starts_with(&format!("source[0].{at}: ")) && errors[0].contains(why);
        assert!(fits, "{wrong}: {errors:?}");
    }
    let both = nice(r#"["Cookie", "X-A", "Authorization"]"#);
    assert_eq!(both.len(), 2, "all of them at once: {both:?}");
}

#[test]
fn the_header_of_a_token_or_a_signature_is_never_kept_whatever_it_is_called() {
    for (preset, lines, why) in [
        ("token", format!("{TOKENS}\ntoken_header = \"X-Door\"\nkeep_headers = [\"x-door\"]"), "holds the token"),
        (
            "nice",
            format!("{SECRETS}\n{TOKENS}\ntoken_header = \"X-Door\"\nkeep_headers = [\"X-Door\"]"),
            "holds the token",
        ),
        (
            "cxone-expert",
            format!("{SECRETS}\nsignature_header = [\"X-S\", \"X-Old\"]\nkeep_headers = [\"X-Old\"]"),
            "signature",
        ),
        ("cxone-expert", format!("{SECRETS}\nsignature_header = \"X-Nexus-Event-Type\""), "signature"),
    ] {
        let errors = told(preset, &lines).0;
        assert!(errors.len() == 1 && errors[0].contains(why), "{lines}: {errors:?}");
    }
}

#[test]
fn a_type_from_a_header_that_a_signature_leaves_out_is_warned_about() {
    let warned = |preset: &str, lines: &str| {
        let (errors, warnings) = told(preset, lines);
        assert_eq!(errors, [""; 0], "{lines}");
        warnings.iter().filter(|warning| warning.contains("event_type")).count()
    };
    let (secrets, tokens) = (SECRETS, TOKENS);
    let own = "event_type = \"header:X-Type\"";
    assert_eq!(warned("cxone-expert", secrets), 0, "the preset's own");
    assert_eq!(warned("cxone-expert", &format!("{secrets}\nevent_type = \"header:x-nexus-event-type\"")), 0);
    assert_eq!(warned("cxone-expert", &format!("{secrets}\n{own}")), 1);
    assert_eq!(warned("cxone-expert", &format!("{secrets}\nevent_type = \"header:X-Nexus-Timestamp\"")), 0, "covered");
    assert_eq!(warned("nice", &format!("{secrets}\n{own}")), 1);
    assert_eq!(warned("nice", &format!("{secrets}\n{tokens}\n{own}")), 1, "a token beside it signs nothing");
    assert_eq!(warned("token", &format!("{tokens}\n{own}")), 0, "nothing is signed, the body neither");
    let keys = "region = \"eu-west-1\"\nkeys = [{ access_key_id = \"AKIDEXAMPLE\", secret = { env = \"SECRET\" } }]";
    assert_eq!(warned("cxone", &format!("{keys}\n{own}")), 1);
    assert_eq!(
        warned("cxone", &format!("{keys}\nevent_type = \"header:x-amz-meta-type\"")),
        0,
        "covered where it comes"
    );
}
