//! One event counts once: ids in signed headers, sources that believe each other's requests, fields and templates.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::http2::{Http2, to_http};
use crate::support::{Daemon, Request, Setup, Signer, accepted, assert_refusal, digest_id, event, sign, unique};

/// A request to the source `cxone` whose id is in the signed header `x-amz-event-id`.
fn named(id: &str) -> Request {
    let signer = Signer::of("cxone");
    let draft = Request::post(&signer.target).header("Host", sign::HOST).header("Content-Type", "application/json");
    signer.sign_v4(draft.header("X-Amz-Event-Id", id).body(&event(&unique())))
}

fn by_header() -> Daemon {
    Setup::new().preset_at("cxone", "cxone", "/webhooks/cxone", "event_id = \"header:x-amz-event-id\"").start()
}

#[test]
fn one_signature_is_one_id_however_its_header_is_written() {
    let daemon = by_header();
    let first = unique();
    let (blank, comma) = (format!("{first} b"), format!("{first},b"));
    for (id, same) in [
        (&blank, vec![vec![format!("{first}  b")], vec![format!("{first}    b")]]),
        (&comma, vec![vec![first.clone(), "b".to_owned()]]),
    ] {
        let request = named(id);
        for lines in same {
            let bare = request.clone().without("X-Amz-Event-Id");
            let folded = lines.iter().fold(bare, |request, line| request.header("X-Amz-Event-Id", line));
            assert_refusal(&daemon.send(&folded), 400, "invalid_event_id");
        }
        let answer = accepted(&daemon.send(&request));
        assert_eq!((&answer["id"], &answer["duplicate"]), (&json!(id), &json!(false)));
        // Blanks around a value are no part of it in HTTP/1.1.
        let padded = accepted(&daemon.send(&request.clone().set("X-Amz-Event-Id", &format!("  {id} \t"))));
        assert_eq!((&padded["id"], &padded["duplicate"]), (&json!(id), &json!(true)));
    }
    // In HTTP/2 nobody takes them away on the way here.
    let request = named(&unique());
    let mut head = to_http(&request);
    let padded = format!(" {}", request.get("X-Amz-Event-Id"));
    head.headers_mut().insert("x-amz-event-id", padded.parse().unwrap());
    if let Ok(response) = Http2::open(&daemon).ask_with(head, &request.body, None) {
        assert_eq!(response.status, 400, "{response:?}");
    }
    assert_eq!(accepted(&daemon.send(&request))["duplicate"], false);
}

#[test]
fn an_id_header_that_is_missing_or_empty_is_no_id() {
    let daemon = by_header();
    let bare = Signer::of("cxone").sign(event(&unique()));
    assert_refusal(&daemon.send(&bare), 400, "invalid_event_id");
    assert_refusal(&daemon.send(&named("")), 400, "invalid_event_id");
    let twice = named("a");
    assert_eq!(daemon.send(&twice.clone().header("X-Amz-Event-Id", "a")).status, 401, "another text is signed");
}

/// Three sources of one secret that sign the body alone, by different id rules, and one of another secret.
fn sharing() -> Setup {
    let rest = |more: &str| format!("secrets = [{{ env = \"IT_NICE\" }}]\n{more}");
    let hmac = "signature_header = \"X-Sig\"\nsignature_format = \"{hex}\"\nsigned_content = \"{body}\"";
    Setup::new()
        .env("IT_NICE", &sign::secret_of("nice"))
        .env("IT_OTHER", "another-test-secret-0123456789")
        .source("digest", "hmac", &rest(&format!("path = \"/digest\"\nevent_id = \"digest\"\n{hmac}")))
        .source("pointer", "hmac", &rest(&format!("path = \"/pointer\"\nevent_id = \"/eventId\"\n{hmac}")))
        .source("nice", "nice", &rest(""))
        .source(
            "prefixed",
            "hmac",
            &rest(&format!(
                "path = \"/prefixed\"\nevent_id = \"digest\"\n{}",
                hmac.replace("\"{body}\"", "\"v1:{body}\"")
            )),
        )
        .source(
            "other",
            "hmac",
            &format!("path = \"/other\"\nevent_id = \"digest\"\n{hmac}\nsecrets = [{{ env = \"IT_OTHER\" }}]"),
        )
}

fn plain(path: &str, secret: &str, prefix: &str, body: &[u8]) -> Request {
    let signature = hex::encode(sign::mac(secret.as_bytes(), &[prefix.as_bytes(), body].concat()));
    Request::post(path).header("Content-Type", "application/json").header("X-Sig", &signature).body(body)
}

#[test]
fn one_body_counts_once_among_sources_that_believe_each_other() {
    let daemon = sharing().start();
    let secret = sign::secret_of("nice");
    let to = |path: &str, body: &[u8]| accepted(&daemon.send(&plain(path, &secret, "", body)));
    let nice = |body: &[u8]| accepted(&daemon.send(&Signer::of("nice").sign(body)));
    let (first, second, third) = (event(&unique()), event(&unique()), event(&unique()));

    assert_eq!(to("/digest", &first)["duplicate"], false);
    let captured = to("/pointer", &first);
    let id: Value = serde_json::from_slice::<Value>(&first).unwrap()["eventId"].clone();
    assert_eq!((&captured["duplicate"], &captured["id"]), (&json!(true), &id), "its id by the rule of that source");
    assert_eq!(nice(&first)["duplicate"], true);

    assert_eq!(nice(&second)["duplicate"], false);
    assert_eq!(to("/digest", &second)["duplicate"], true);
    assert_eq!(to("/pointer", &second)["duplicate"], true);

    assert_eq!(to("/pointer", &third)["duplicate"], false);
    assert_eq!(nice(&third)["duplicate"], true);

    // An id of its own is still an id of its own: another body under it is put aside.
    let id = unique();
    let bodies = [json!({ "eventId": id, "n": 1 }).to_string(), json!({ "eventId": id, "n": 2 }).to_string()];
    assert_eq!(nice(bodies[0].as_bytes())["status"], "accepted");
    assert_eq!(to("/pointer", bodies[1].as_bytes())["status"], "accepted", "the same id there is another event");
    assert_eq!(nice(bodies[1].as_bytes())["status"], "quarantined");
}

#[test]
fn sources_that_do_not_believe_each_other_share_nothing() {
    let daemon = sharing().start();
    let body = event(&unique());
    let secret = sign::secret_of("nice");
    for request in [
        plain("/digest", &secret, "", &body),
        plain("/prefixed", &secret, "v1:", &body),
        plain("/other", "another-test-secret-0123456789", "", &body),
    ] {
        let answer = accepted(&daemon.send(&request));
        assert_eq!(
            (&answer["duplicate"], &answer["id"]),
            (&json!(false), &json!(digest_id(&body))),
            "{}",
            request.target
        );
    }
}

#[test]
fn a_duplicate_at_a_twin_is_not_delivered_and_a_release_of_it_adds_nothing() {
    let setup = sharing();
    let daemon = setup.start();
    let secret = sign::secret_of("nice");
    let body = event(&unique());
    // Refused for its time and kept; accepted elsewhere meanwhile.
    assert_eq!(daemon.send(&Signer::of("nice").shifted(-1000).sign(&body)).status, 401);
    assert_eq!(accepted(&daemon.send(&plain("/digest", &secret, "", &body)))["duplicate"], false);
    let listed = |what: &[&str]| {
        let output = setup.run(what);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
    };
    let kept = crate::support::eventually("it is kept", || listed(&["quarantine", "list", "--json"]).first().cloned());
    let release = listed(&["quarantine", "release", &kept["id"].to_string(), "--operator", "ann", "--json"]);
    assert_eq!(release[0]["duplicate"], true, "{release:?}");
    assert_eq!(listed(&["events", "list", "--json"]).len(), 1);
}

#[test]
fn sources_that_share_a_body_only_secret_are_warned_about() {
    let output = sharing().run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = |one: &str, other: &str| {
        let names = format!("sources {one} and {other} share a secret");
        said.lines().find(|line| line.contains(&names)).unwrap_or_else(|| panic!("{names}: {said}"))
    };
    assert!(line("digest", "pointer").contains("only the body is signed"), "{said}");
    assert!(line("pointer", "nice").contains("only the body is signed"), "{said}");
    assert!(!line("digest", "prefixed").contains("only the body is signed"), "{said}");
    assert!(!said.contains("and other share"), "{said}");
}

#[test]
fn every_required_field_is_required_however_many_there_are() {
    let names: Vec<String> = (0..200).map(|n| format!("\"/f{n}\"")).collect();
    let rest = format!("required_fields = [{}]", names.join(", "));
    let daemon = Setup::new().preset_at("nice", "nice", "/webhooks/nice", &rest).start();
    let body = |without: Option<usize>| {
        let mut text = format!("{{\"eventId\":\"{}\"", unique());
        for n in (0..200).filter(|n| Some(*n) != without) {
            let _ = write!(text, ",\"f{n}\":{n}");
        }
        text + "}"
    };
    assert_eq!(daemon.send(&Signer::of("nice").sign(body(None))).status, 200);
    for missing in [0, 58, 59, 60, 63, 64, 127, 128, 199] {
        let response = daemon.send(&Signer::of("nice").sign(body(Some(missing))));
        assert_refusal(&response, 400, "missing_required_fields");
        assert_eq!(response.json()["detail"].to_string().matches("/f").count(), 1, "{response:?}");
        assert!(response.text().contains(&format!("/f{missing}")), "{response:?}");
    }
}

#[test]
fn templates_in_which_bytes_could_move_are_refused_or_warned_about() {
    let check = |content: &str| {
        let rest = format!(
            "path = \"/a\"\nsignature_header = \"X-Sig\"\nsignature_format = \"{{hex}}\"\nsigned_content = \"{content}\"\n\
             timestamp_header = \"X-Time\"\ntimestamp_unit = \"s\"\nid_header = \"X-Id\"\nevent_id = \"digest\"\n\
             secrets = [{{ env = \"IT_A\" }}]"
        );
        let output = Setup::new().env("IT_A", "a-test-secret-0123456789").source("a", "hmac", &rest).run(&["check"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for wrong in
        ["{id}{timestamp}.{body}", "{timestamp}{id}{body}", "{id}{body}", "{timestamp}.{body}{id}", "{id}0{body}"]
    {
        let (status, said) = check(wrong);
        assert!(status == Some(64) && said.contains("source[0].signed_content"), "{wrong}: {said}");
    }
    for open in ["{timestamp}{body}", "{body}{timestamp}", "{timestamp}1{body}"] {
        let (status, said) = check(open);
        assert!(status == Some(0) && said.contains("warning: source a: signed_content"), "{open}: {said}");
    }
    for fine in ["{timestamp}.{body}", "{id}.{timestamp}.{body}", "v0:{timestamp}:{body}", "{body}"] {
        let (status, said) = check(fine);
        assert!(status == Some(0) && !said.contains("signed_content"), "{fine}: {said}");
    }
}

#[test]
fn a_digit_cannot_move_from_the_timestamp_into_the_body() {
    let rest = "path = \"/a\"\nsignature_header = \"X-Sig\"\nsignature_format = \"{hex}\"\n\
        signed_content = \"{timestamp}{body}\"\ntimestamp_header = \"X-Time\"\ntimestamp_unit = \"s\"\n\
        event_id = \"digest\"\nbody_format = \"any\"\nsecrets = [{ env = \"IT_A\" }]";
    let daemon = Setup::new().env("IT_A", "a-test-secret-0123456789").source("a", "hmac", rest).start();
    let time = sign::now().to_string();
    let body = format!("5{}", unique());
    let signature = hex::encode(sign::mac(b"a-test-secret-0123456789", format!("{time}{body}").as_bytes()));
    let sent = |time: &str, body: &str| {
        let request = Request::post("/a").header("Content-Type", "application/json").header("X-Time", time);
        daemon.send(&request.header("X-Sig", &signature).body(body.as_bytes()))
    };
    assert_eq!(sent(&time, &body).status, 200);
    let shorter = sent(&time[..9], &format!("{}{body}", &time[9..]));
    assert_refusal(&shorter, 401, "timestamp_expired");
    assert_refusal(&sent(&format!("{time}5"), &body[1..]), 401, "timestamp_expired");
}
