//! Client certificates: what configuration refuses, what logs, metrics, quarantine, `explain`, `check` and `send` say.

use rcgen::KeyPair;
use serde_json::Value;

use super::client_certificates::{PATH, ask, dns, pinned, request, san, spki};
use crate::support::certs::{Ca, Leaf};
use crate::support::sign::{fingerprint, secret_of};
use crate::support::{Daemon, Setup, Signer, accepted, eventually, nameless};

const LAST_USED: &str = "gatepost_verification_key_last_used_timestamp_seconds";

#[track_caller]
fn faults(setup: &Setup, expected: &[&str]) {
    let output = setup.run(&["check"]);
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(64), "{told}");
    for words in expected {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn pins_that_cannot_act_are_errors_of_the_configuration() {
    let (clients, pin) = (Ca::new(), san(&["dns:a.example"]));
    let no_ca = || {
        Setup::new().source(
            "pinned",
            "client-certificate",
            &format!("path = \"{PATH}\"\nclient_certificates = [{pin}]"),
        )
    };
    faults(&no_ca(), &["source[0].client_certificates", "tls.client_ca_file"]);
    faults(&no_ca().set("tls", "client_auth", "\"optional\""), &["tls.client_auth", "client_ca_file"]);
    let good = || pinned(&clients, "optional", &pin);
    let behind = good().set("listener", "trusted_proxies", "[\"10.0.0.0/8\"]");
    faults(&behind, &["source[0].client_certificates", "trusted_proxies", "proxy_protocol"]);
    faults(&good().set("tls", "client_auth", "\"maybe\""), &["tls.client_auth", "required", "optional"]);
    faults(
        &good().replace(&format!("client_certificates = [{pin}]"), ""),
        &["source[0].client_certificates", "is missing"],
    );
    faults(&good().replace(&pin, ""), &["source[0].client_certificates", "lets nobody in"]);
    faults(&good().replace("dns:a.example", "a.example"), &["source[0].client_certificates[0].san"]);
    faults(&good().replace("dns:a.example", "dns:*.example"), &["client_certificates[0].san", "wildcard"]);
    faults(&good().replace(PATH, "/p\"\nsecrets = [{ env = \"X\" }]\n#"), &["source[0].secrets", "client certificate"]);
}

#[test]
fn check_shows_pins_and_who_is_asked() {
    let pins =
        format!("{}, {{ spki_sha256 = \"{}\", label = \"tenant-a\" }}", san(&["dns:a.example"]), "ab".repeat(32));
    let output = pinned(&Ca::new(), "optional", &pins).run(&["check"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(&format!("client_certificates = [{pins}]")), "{told}");
    assert!(told.contains("client_auth = \"optional\""), "{told}");
}

#[test]
fn the_pin_that_let_in_is_the_key_of_records_and_metrics() {
    let (clients, key) = (Ca::new(), KeyPair::generate().unwrap());
    let hash = spki(&key);
    let labelled = "client_certificates = [{ san = \"dns:b.example\", label = \"tenant-b\" }]";
    let pins = format!("{{ spki_sha256 = \"{hash}\" }}, {}", san(&["dns:a.example"]));
    let setup = pinned(&clients, "optional", &pins).preset_at("both", "cognigy", "/both", labelled);
    let daemon = setup.start();
    let other = KeyPair::generate().unwrap();
    let last_used = |source: &str, key: &str| daemon.scrape().get(LAST_USED, &[("source", source), ("key", key)]);
    let (by_hash, by_hmac) = (format!("spki:{}", &hash[..16]), fingerprint(&secret_of("cognigy")));
    let all = [("pinned", by_hash.as_str()), ("pinned", "dns:a.example"), ("both", "tenant-b"), ("both", &by_hmac)];
    for (source, key) in all {
        assert!(last_used(source, key).abs() < 1.0, "present from the start: {source} {key}");
    }
    let key_of = |client: &Leaf, request: &crate::support::Request| {
        let answer = accepted(&ask(&daemon, Some(client), request).unwrap());
        let record = daemon.access_where("accepted", |record| record["event_id"] == answer["id"]);
        record["key"].as_str().unwrap().to_owned()
    };
    assert_eq!(key_of(&clients.client(&key, Vec::new(), 2020, 4096), &request()), by_hash);
    assert!(last_used("pinned", &by_hash) > 1.0 && last_used("pinned", "dns:a.example") < 1.0);
    assert_eq!(key_of(&clients.client(&other, vec![dns("a.example")], 2020, 4096), &request()), "dns:a.example");
    let signed = Signer::of("cognigy").target("/both").sign(nameless());
    assert_eq!(key_of(&clients.client(&other, vec![dns("b.example")], 2020, 4096), &signed), by_hmac);
    assert!(last_used("both", "tenant-b") > 1.0 && last_used("both", &by_hmac) > 1.0);
    daemon.reload(&setup.replace(&format!("{{ spki_sha256 = \"{hash}\" }}, "), ""));
    let text = daemon.get("/metrics").text();
    assert!(!text.contains(&by_hash) && text.contains("key=\"dns:a.example\""), "a pin that is gone has no series");
}

fn listed(setup: &Setup) -> Vec<Value> {
    let output = setup.run(&["quarantine", "list", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

#[track_caller]
fn explained(setup: &Setup, arguments: &[&str]) -> String {
    let output = setup.run(&[&["explain"], arguments].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = i32::from(!told.starts_with("ok "));
    assert_eq!(output.status.code(), Some(expected), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// What is said of the request that `client` makes, which is refused.
fn refused(setup: &Setup, daemon: &Daemon, client: Option<&Leaf>) -> String {
    let known: Vec<Value> = listed(setup).iter().map(|entry| entry["id"].clone()).collect();
    assert_eq!(ask(daemon, client, &request()).unwrap().status, 401);
    let fresh = || listed(setup).into_iter().find(|entry| !known.contains(&entry["id"]));
    let entry = eventually("a kept request", fresh);
    assert_eq!(entry["reason"], "client_certificate_mismatch");
    explained(setup, &[&entry["id"].to_string()])
}

#[test]
fn explain_says_which_certificate_came_and_which_are_taken() {
    let (clients, key) = (Ca::new(), KeyPair::generate().unwrap());
    let client = |names: &[&str]| clients.client(&key, names.iter().map(|name| dns(name)).collect(), 2020, 4096);
    let own = client(&["a.example"]);
    let whole = {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(&own.der().0[0]))
    };
    let pins = format!(
        "{}, {{ spki_sha256 = \"{whole}\", label = \"tenant-a\" }}",
        san(&["dns:X.example", "dns:b.wild.example"])
    );
    let setup = pinned(&clients, "optional", &pins);
    let daemon = setup.start();

    let told = refused(&setup, &daemon, None);
    assert!(told.starts_with("REFUSED  client_certificate_mismatch: no client certificate was shown"), "{told}");
    assert!(told.contains("san dns:X.example") && told.contains(&format!("spki_sha256 {whole} (tenant-a)")), "{told}");

    let told = refused(&setup, &daemon, Some(&own));
    assert!(told.contains("san dns:a.example") && told.contains("fingerprint of this certificate"), "{told}");
    let line = format!("    {{ spki_sha256 = \"{}\" }}", spki(&key));
    assert!(told.lines().any(|found| found == line), "{told}");
    assert!(refused(&setup, &daemon, Some(&client(&["x.example"]))).contains("upper and lower case"));
    assert!(refused(&setup, &daemon, Some(&client(&["*.wild.example"]))).contains("a wildcard stands for no host"));

    let file = setup.path("request.txt");
    std::fs::write(&file, request().bytes()).unwrap();
    setup.write("client.pem", &own.chain);
    let (file, cert) = (file.display().to_string(), setup.path("client.pem").display().to_string());
    assert!(explained(&setup, &["--request", &file]).contains("--cert FILE names it"));
    let told = explained(&setup, &["--request", &file, "--cert", &cert]);
    assert!(told.starts_with("REFUSED  client_certificate_mismatch"), "{told}");

    // What is advised lets in what was refused, also in words.
    let mended = setup.replace(&pins, &format!("{pins}, {}", line.trim()));
    daemon.reload(&mended);
    accepted(&ask(&daemon, Some(&own), &request()).unwrap());
    let told = explained(&mended, &["--request", &file, "--cert", &cert]);
    assert!(told.starts_with("ok ") && told.contains("client certificate taken by spki_sha256"), "{told}");
}

#[test]
fn a_refused_request_leaves_its_evidence_alone_and_no_other_header_can_stand_for_it() {
    let clients = Ca::new();
    let setup = pinned(&clients, "optional", &san(&["dns:a.example"]));
    let daemon = setup.start();
    let forged = request().header("Client-Cert", ":AAAA:");
    assert_eq!(ask(&daemon, None, &forged).unwrap().status, 401);
    let entry = eventually("a kept request", || listed(&setup).first().cloned());
    assert!(explained(&setup, &[&entry["id"].to_string()]).contains("no client certificate was shown"));
    let events = setup.run(&["events", "list", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&events.stdout).unwrap(), serde_json::json!([]));
    let record = daemon.access_where("refused", |record| record["outcome"] == "refused");
    assert_eq!(record["reason"], "client_certificate_mismatch");
    assert_eq!(record["key"], Value::Null);
    let labels = [("source", "pinned"), ("reason", "client_certificate_mismatch")];
    eventually("the refusal is counted", || {
        (daemon.scrape().get("gatepost_refusals_total", &labels) >= 1.0).then_some(())
    });
    eventually("the audit record", || daemon.audit().into_iter().find(|record| record["validated"] == false));
}

#[test]
fn send_shows_a_certificate() {
    let clients = Ca::new();
    let setup = pinned(&clients, "optional", &san(&["dns:a.example"]));
    let client = |name: &str| clients.client(&KeyPair::generate().unwrap(), vec![dns(name)], 2020, 4096);
    let (right, wrong) = (client("a.example"), client("b.example"));
    for (stem, leaf) in [("right", &right), ("wrong", &wrong)] {
        setup.write(&format!("{stem}.crt"), &leaf.chain);
        setup.write(&format!("{stem}.key"), &leaf.key);
    }
    setup.write("ca.pem", setup.ca.pem());
    let daemon = setup.start();
    let url = format!("https://localhost:{}{PATH}", daemon.webhook.port());
    let send = |arguments: &[&str]| {
        let output = setup.run(&[&["send", "pinned", "--url", &url, "--ca-file", "ca.pem"], arguments].concat());
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), told)
    };
    let with = |stem: &str| [format!("{stem}.crt"), format!("{stem}.key")];
    let [cert, key] = with("right");
    let shown = ["--cert", &cert, "--key", &key];
    assert_eq!(send(&shown).0, Some(0), "{}", send(&shown).1);
    let faulty = |fault: &'static str| send(&[&shown[..], &["--fault", fault]].concat());
    for fault in ["no-certificate", "oversize", "wrong-content-type", "duplicate"] {
        let (status, told) = faulty(fault);
        assert_eq!(status, Some(0), "{fault}: {told}");
    }
    for fault in ["wrong-key", "bad-signature", "missing-signature", "tampered-body", "stale"] {
        assert_eq!(faulty(fault).0, Some(64), "{fault}");
    }
    let (status, told) = send(&[]);
    assert!(status == Some(1) && told.contains("client_certificate_mismatch"), "{told}");
    let [cert, other] = with("wrong");
    assert_eq!(send(&["--cert", &cert, "--key", &other]).0, Some(1));
    assert_eq!(send(&["--cert", &cert, "--key", &key]).0, Some(64), "of two pairs");
    assert_eq!(send(&["--cert", &cert]).0, Some(64));
    let (_, told) = send(&["--cert", "nowhere.crt", "--key", &key]);
    assert!(told.contains("--cert nowhere.crt"), "{told}");
    let (_, told) = send(&["--cert", &cert, "--key", &cert]);
    assert!(told.contains("--key wrong.crt"), "{told}");
    let (_, curl) = send(&[&shown[..], &["--dry-run"]].concat());
    assert!(curl.contains("--cert right.crt --key right.key"), "{curl}");
}
