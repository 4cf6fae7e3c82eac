//! Certificate files: what is wrong with them is told with all else, and one that expired keeps no restart down.

use std::process::Output;

use crate::support::certs::Ca;
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Setup, Signer, accepted, eventually, nameless};

fn setup() -> Setup {
    Setup::new().preset("cognigy")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The certificate shown to a client that does not look whether it is valid.
fn shown(daemon: &Daemon) -> Option<Vec<u8>> {
    let conn = Conn::open(daemon.webhook, client_config(&daemon.ca, &["http/1.1"])).ok()?;
    Some(conn.tls.conn.peer_certificates()?[0].to_vec())
}

#[test]
fn an_expired_certificate_keeps_no_start_down_and_is_said() {
    for (serial, from, to, word) in [(2, 1990, 2000, "expired"), (3, 3000, 3010, "not valid before")] {
        let setup = setup();
        let leaf = setup.ca.leaf_of_years(serial, from, to);
        leaf.write(setup.path("").as_path());
        let checked = setup.run(&["check"]);
        assert_eq!(checked.status.code(), Some(64), "{}", said(&checked));
        for part in ["tls.cert_file", "TLS_CERT_FILE", "tls.crt", word] {
            assert!(said(&checked).contains(part), "{part}: {}", said(&checked));
        }
        let daemon = setup.start();
        let wrong =
            |record: &serde_json::Value| record["level"] == "ERROR" && record["fault"].to_string().contains(word);
        let record = eventually("an error record", || daemon.logs().into_iter().find(&wrong));
        assert!(record["fault"].as_str().unwrap().contains("TLS_CERT_FILE"), "{record}");
        let expiry = daemon.scrape().get("gatepost_tls_certificate_expiry_timestamp_seconds", &[]);
        assert!((expiry < 2e9) == (to == 2000), "{expiry}");
        assert_eq!(shown(&daemon), None, "a client that looks does not take it");

        // Other changes take effect meanwhile, also with another one that is no better.
        let setup = setup.set("limits", "body_bytes", "1000");
        assert_eq!(daemon.reload(&setup), "[limits] changed; source cognigy changed");
        setup.ca.leaf_of_years(serial + 10, from, to).write(setup.path("").as_path());
        assert_eq!(daemon.reload(&setup), "certificates exchanged");
        // And a good one is served as soon as it is there.
        setup.ca.leaf(serial + 20).write(setup.path("").as_path());
        eventually("the good one", || shown(&daemon));
        accepted(&daemon.send(&Signer::of("cognigy").sign(nameless())));
    }
}

#[test]
fn a_reload_does_not_exchange_a_valid_certificate_for_an_expired_one() {
    let setup = setup();
    let daemon = setup.start();
    let before = shown(&daemon).unwrap();
    setup.ca.leaf_of_years(2, 1990, 2000).write(setup.path("").as_path());
    let faults = daemon.refused_reload(&setup);
    assert!(faults.contains("tls.cert_file (TLS_CERT_FILE): ") && faults.contains("expired"), "{faults}");
    assert_eq!(shown(&daemon).unwrap(), before);
    setup.ca.leaf(3).write(setup.path("").as_path());
    eventually("the next good one", || shown(&daemon).filter(|now| *now != before));
}

#[test]
fn every_fault_of_a_certificate_file_is_told_with_all_the_others() {
    let setup = Setup::env_only().env("COGNIGY_WEBHOOK_SECRET", "short").env("GATEPOST_RETENTION", "1h");
    let strange = Ca::new();
    strange.leaf(9).write(setup.path("").as_path());
    let other_key = setup.write("other.key", &strange.leaf(8).key);
    let other_key = other_key.trim_matches('"');
    let clients = setup.path("clients.pem");
    std::fs::write(&clients, &strange.leaf(7).chain).unwrap();
    let directory = setup.path("").display().to_string();
    for (variable, value, part) in [
        ("TLS_CERT_FILE", "/nowhere/tls.crt", "cannot be read"),
        ("TLS_CERT_FILE", directory.as_str(), "is a directory"),
        ("TLS_CERT_FILE", other_key, "holds a private key"),
        ("TLS_KEY_FILE", "/nowhere/tls.key", "cannot be read"),
        ("TLS_KEY_FILE", other_key, "is not the key of the first certificate"),
    ] {
        for command in ["check", "serve"] {
            let output = setup.run_with(&[(variable, value)], &[command]);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(64), "{said}");
            let key = format!("tls.{}", variable.trim_start_matches("TLS_").to_lowercase());
            for named in [variable, &key, value, part, "COGNIGY_WEBHOOK_SECRET", "GATEPOST_RETENTION"] {
                assert!(said.contains(named), "{command} {variable}={value} does not tell {named}: {said}");
            }
        }
    }
    let with_file = Setup::new().set("tls", "client_ca_file", &format!("\"{}\"", clients.display()));
    let with_file = with_file
        .set("limits", "body_bytes", "0")
        .preset("cognigy")
        .block("[[tls.certificate]]\ncert_file = \"/nowhere/second.crt\"\nkey_file = \"/nowhere/second.key\"");
    let output = with_file.run(&["check"]);
    for named in [
        "tls.client_ca_file: ",
        "is not a CA's",
        "tls.certificate[0].cert_file: /nowhere/second.crt",
        "tls.certificate[0].key_file: /nowhere/second.key",
        "limits.body_bytes",
    ] {
        assert!(said(&output).contains(named), "{named}: {}", said(&output));
    }
}

#[test]
fn commands_that_do_not_serve_need_no_certificate() {
    let setup = setup();
    drop(setup.start());
    std::fs::remove_file(setup.path("tls.key")).unwrap();
    let output = setup.run(&["events", "list"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_ca_s_own_certificate_is_warned_about() {
    let setup = setup();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    setup.write("tls.crt", &params.self_signed(&key).unwrap().pem());
    setup.write("tls.key", &key.serialize_pem());
    let checked = setup.run(&["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    assert!(said(&checked).contains("warning: tls.cert_file (TLS_CERT_FILE): "), "{}", said(&checked));
    let daemon = setup.start();
    assert_eq!(daemon.told("is a CA's own certificate"), 1);
}
