//! Contract 2.1: the environment alone configures a daemon, and every fault in it is reported at once.

use std::process::Output;

use crate::support::{Setup, Signer, accepted, assert_refusal, callback, event, nameless, unique};

const SECRET: &str = "an-environment-secret-0123456789";
const XFF: &str = "X-Forwarded-For";
const SECOND: &str = "another-environment-secret-0123456789";

fn cognigy() -> Setup {
    Setup::env_only().env("COGNIGY_WEBHOOK_SECRET", SECRET)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `check` must end with 64 and name each of `names`.
#[track_caller]
fn faulty(setup: &Setup, names: &[&str]) {
    for command in ["check", "serve"] {
        let output = setup.run(&[command]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(64), "{command} {names:?}: {said}");
        for name in names {
            assert!(said.contains(name), "{command} does not name {name}: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn every_source_can_be_enabled_by_environment() {
    let daemon = Setup::env_only()
        .env("CXONE_AWS_ACCESS_KEY", "AKIDENVIRONMENT")
        .env("CXONE_AWS_SECRET_KEY", SECRET)
        .env("CXONE_AWS_REGION", "eu-central-1")
        .env("COGNIGY_WEBHOOK_SECRETS", &format!("{SECRET},{SECOND}"))
        .env("NICE_WEBHOOK_SECRET", SECRET)
        .env("CXONE_EXPERT_WEBHOOK_SECRETS", SECOND)
        .start();
    let mut cxone = Signer::of("cxone").secret(SECRET);
    (cxone.access_key, cxone.region) = ("AKIDENVIRONMENT".into(), "eu-central-1".into());
    accepted(&daemon.send(&cxone.sign(event(&unique()))));
    for secret in [SECRET, SECOND] {
        accepted(&daemon.send(&Signer::of("cognigy").secret(secret).sign(nameless())));
        accepted(&daemon.send(&Signer::of("cognigy-callback").secret(secret).sign(callback())));
    }
    accepted(&daemon.send(&Signer::of("nice").secret(SECRET).sign(event(&unique()))));
    accepted(&daemon.send(&Signer::of("cxone-expert").secret(SECOND).sign(nameless())));
    assert_refusal(&daemon.send(&Signer::of("nice").secret(SECOND).sign("{}")), 401, "signature_mismatch");
    assert_eq!(daemon.send(&Signer::of("standard-webhooks").sign(nameless())).status, 404);
}

#[test]
fn sources_that_were_not_enabled_do_not_exist() {
    let daemon = cognigy().start();
    for preset in ["cxone", "nice", "cxone-expert"] {
        assert_refusal(&daemon.send(&Signer::of(preset).sign("{}")), 404, "not_found");
    }
}

#[test]
fn a_single_secret_is_taken_literally() {
    let literal = "one,secret,with,commas,0123456789 ";
    let daemon = Setup::env_only().env("NICE_WEBHOOK_SECRET", literal).start();
    assert_eq!(daemon.send(&Signer::of("nice").secret(literal).sign("{}")).status, 200);
    assert_eq!(daemon.send(&Signer::of("nice").secret(literal.trim()).sign("{}")).status, 401);
}

#[test]
fn a_secret_file_loses_one_newline_and_no_more() {
    let setup = Setup::env_only();
    setup.write("one", &format!("{SECRET}\n"));
    setup.write("two", &format!("{SECOND}\n\n"));
    let (one, two) = (setup.path("one").display().to_string(), setup.path("two").display().to_string());
    let daemon = setup.env("NICE_WEBHOOK_SECRET_FILE", &one).env("COGNIGY_WEBHOOK_SECRET_FILE", &two).start();
    assert_eq!(daemon.send(&Signer::of("nice").secret(SECRET).sign("{}")).status, 200);
    assert_eq!(daemon.send(&Signer::of("cognigy").secret(&format!("{SECOND}\n")).sign("{}")).status, 200);
    assert_eq!(daemon.send(&Signer::of("cognigy").secret(SECOND).sign("{}")).status, 401);
}

#[test]
fn limits_and_the_window_by_environment() {
    let daemon = cognigy().env("WEBHOOK_MAX_BYTES", "100").env("GATEPOST_MAX_DRIFT_SECONDS", "900").start();
    let sign = |seconds: i64, body: &str| Signer::of("cognigy").secret(SECRET).shifted(seconds).sign(body);
    assert_eq!(daemon.send(&sign(-880, "{\"a\":1}")).status, 200);
    assert_refusal(&daemon.send(&sign(-920, "{\"a\":2}")), 410, "timestamp_expired");
    assert_refusal(&daemon.send(&sign(0, &" ".repeat(101))), 413, "payload_too_large");
}

#[test]
fn the_allowlist_by_environment() {
    for (list, status) in
        [("192.0.2.1, 127.0.0.0/8", 200), ("any", 200), ("192.0.2.1,2001:db8::/32", 403), ("::ffff:127.0.0.1", 200)]
    {
        let daemon = cognigy().env("GATEPOST_ALLOWED_IPS", list).start();
        assert_eq!(daemon.send(&Signer::of("cognigy").secret(SECRET).sign(nameless())).status, status, "{list}");
    }
}

#[test]
fn a_trusted_proxy_names_the_client() {
    let daemon = cognigy()
        .env("GATEPOST_ALLOWED_IPS", "198.51.100.7")
        .env("GATEPOST_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")
        .start();
    let ask = |lines: &[(&str, &str)]| {
        let request = Signer::of("cognigy").secret(SECRET).sign(nameless());
        daemon.send(&lines.iter().fold(request, |request, (name, value)| request.header(name, value))).status
    };
    for (lines, status) in [
        (&[(XFF, "198.51.100.7")][..], 200),
        (&[(XFF, "198.51.100.7, 10.1.2.3")], 200),
        (&[(XFF, "198.51.100.7"), (XFF, "10.1.2.3")], 200),
        (&[(XFF, "198.51.100.7:4711")], 200),
        (&[(XFF, "::ffff:198.51.100.7")], 200),
        (&[(XFF, "junk, 198.51.100.7")], 200),
        (&[("Forwarded", "for=198.51.100.7;proto=https")], 200),
        (&[("Forwarded", "for=203.0.113.9"), (XFF, "198.51.100.7")], 200),
        (&[], 403),
        (&[(XFF, "198.51.100.7, 203.0.113.9")], 403),
        (&[(XFF, "198.51.100.7"), (XFF, "203.0.113.9")], 403),
        (&[(XFF, "198.51.100.7, junk")], 403),
        (&[(XFF, "198.51.100.007")], 403),
        (&[("Forwarded", "for=198.51.100.7, for=203.0.113.9")], 403),
        (&[("Forwarded", "for=198.51.100.7"), (XFF, "203.0.113.9")], 403),
        (&[("X-Real-IP", "198.51.100.7")], 403),
    ] {
        let got = ask(lines);
        // An entry that does not parse at the deciding place refuses the request: 403, or 400 for a malformed header.
        assert!(got == status || (status == 403 && got == 400), "{lines:?}: {got}");
    }
}

#[test]
fn each_fault_is_named() {
    faulty(&cognigy().without_env("TLS_CERT_FILE"), &["TLS_CERT_FILE"]);
    faulty(&cognigy().without_env("TLS_KEY_FILE"), &["TLS_KEY_FILE"]);
    faulty(&cognigy().without_env("GATEPOST_ALLOWED_IPS"), &["GATEPOST_ALLOWED_IPS"]);
    let rows = [
        ("GATEPOST_ALLOWED_IPS", ""),
        ("GATEPOST_ALLOWED_IPS", " , "),
        ("GATEPOST_ALLOWED_IPS", "any,10.0.0.1"),
        ("GATEPOST_ALLOWED_IPS", "010.0.0.1"),
        ("GATEPOST_ALLOWED_IPS", "127.1"),
        ("GATEPOST_ALLOWED_IPS", "10.0.0.0/33"),
        ("GATEPOST_ALLOWED_IPS", "host.example"),
        ("GATEPOST_ALLOWED_IPS", "*"),
        ("GATEPOST_TRUSTED_PROXIES", "nonsense"),
        ("GATEPOST_PROXY_PROTOCOL", "optional"),
        ("GATEPOST_MAX_DRIFT_SECONDS", "0"),
        ("GATEPOST_MAX_DRIFT_SECONDS", "901"),
        ("GATEPOST_MAX_DRIFT_SECONDS", "-1"),
        ("GATEPOST_MAX_DRIFT_SECONDS", "5m"),
        ("GATEPOST_RETENTION", "1h"),
        ("GATEPOST_RETENTION", "96"),
        ("GATEPOST_RETENTION", "23h"),
        ("WEBHOOK_MAX_BYTES", "0"),
        ("WEBHOOK_MAX_BYTES", "many"),
        ("GATEPOST_LISTEN", "nowhere"),
        ("GATEPOST_STORE", "mysql://x"),
        ("GATEPOST_LOG_FORMAT", "xml"),
        ("GATEPOST_UNKNOWN", "x"),
        ("GATEPOST_ALLOWED_IP", "127.0.0.1"),
        ("COGNIGY_WEBHOOK_SECRET", "short"),
        ("COGNIGY_WEBHOOK_SECRET", ""),
        ("COGNIGY_WEBHOOK_SECRET", "                    "),
        ("NICE_WEBHOOK_SECRETS", "an-environment-secret-0123,"),
        ("NICE_WEBHOOK_SECRETS", "an-environment-secret-0123,short"),
        ("NICE_WEBHOOK_SECRETS", ""),
        ("COGNIGY_WEBHOOK_SECRETS", SECRET),
        ("NICE_WEBHOOK_SECRET_FILE", "/nowhere/at/all"),
        ("CXONE_AWS_REGION", "eu-west-1"),
        ("CXONE_AWS_ACCESS_KEY", "AKID"),
        ("CXONE_AWS_SECRET_KEY", SECRET),
        ("GATEPOST_FORWARD_URL", "ftp://x"),
        ("GATEPOST_SIEM_URL", "not a url"),
        ("TLS_CERT_FILE", "/nowhere/tls.crt"),
        ("TLS_KEY_FILE", "/nowhere/tls.key"),
        ("GATEPOST_ADMIN_LISTEN", "0.0.0.0:0"),
    ];
    for (name, value) in rows {
        let named = match name {
            // Part of three: whichever is missing has to be named.
            "CXONE_AWS_REGION" | "CXONE_AWS_ACCESS_KEY" | "CXONE_AWS_SECRET_KEY" => "CXONE_AWS_",
            "GATEPOST_ADMIN_LISTEN" => "GATEPOST_ADMIN_TOKEN",
            other => other,
        };
        faulty(&cognigy().env(name, value), &[named]);
    }
}

#[test]
fn setting_a_secret_and_its_file_is_a_fault() {
    let setup = cognigy();
    setup.write("secret", SECRET);
    let file = setup.path("secret").display().to_string();
    faulty(&setup.env("COGNIGY_WEBHOOK_SECRET_FILE", &file), &["COGNIGY_WEBHOOK_SECRET_FILE"]);
}

#[test]
fn no_source_at_all_is_a_fault() {
    let output = Setup::env_only().run(&["check"]);
    assert_eq!(output.status.code(), Some(64), "{}", said(&output));
}

#[test]
fn all_faults_are_reported_together() {
    let setup = cognigy()
        .without_env("TLS_KEY_FILE")
        .env("GATEPOST_ALLOWED_IPS", "")
        .env("GATEPOST_MAX_DRIFT_SECONDS", "1000")
        .env("GATEPOST_RETENTION", "1h")
        .env("GATEPOST_NONSENSE", "1")
        .env("NICE_WEBHOOK_SECRET", "short")
        .env("CXONE_AWS_REGION", "eu-west-1")
        .env("WEBHOOK_MAX_BYTES", "lots");
    faulty(
        &setup,
        &[
            "TLS_KEY_FILE",
            "GATEPOST_ALLOWED_IPS",
            "GATEPOST_MAX_DRIFT_SECONDS",
            "GATEPOST_RETENTION",
            "GATEPOST_NONSENSE",
            "NICE_WEBHOOK_SECRET",
            "CXONE_AWS_ACCESS_KEY",
            "CXONE_AWS_SECRET_KEY",
            "WEBHOOK_MAX_BYTES",
        ],
    );
}

#[test]
fn check_shows_the_configuration_without_a_secret() {
    let output = cognigy().env("NICE_WEBHOOK_SECRETS", &format!("{SECOND},{SECRET}")).run(&["check"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("cognigy") && said.contains("nice") && said.contains("/webhooks/nice"), "{said}");
    assert!(!said.contains(SECRET) && !said.contains(SECOND), "a secret was printed");
}

#[test]
fn the_environment_wins_over_the_file() {
    let setup = Setup::new().set("limits", "body_bytes", "100").preset("nice");
    let large = Signer::of("nice").sign(format!("{{\"x\":\"{}\"}}", "x".repeat(200)));
    assert_eq!(setup.start().send(&large).status, 413);
    assert_eq!(setup.env("WEBHOOK_MAX_BYTES", "1000").start().send(&large).status, 200);
}

#[test]
fn usage_errors_are_64_and_help_is_0() {
    let setup = cognigy();
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["serve", "--help"], 0),
        (&["nonsense"], 64),
        (&["serve", "--nonsense"], 64),
        (&["--config", "/nowhere/gatepost.toml", "check"], 64),
        (&["send"], 64),
        (&["events"], 64),
        (&["send", "cognigy", "--fault", "nonsense"], 64),
    ] {
        let output = setup.run(arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn healthcheck_tells_a_running_daemon_from_none() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = cognigy().env("GATEPOST_ADMIN_LISTEN", &port.to_string());
    assert_ne!(setup.run(&["healthcheck"]).status.code(), Some(0), "nothing runs yet");
    let daemon = setup.start();
    let output = setup.run(&["healthcheck"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    daemon.signal(rustix::process::Signal::TERM);
    crate::support::eventually("draining", || (setup.run(&["healthcheck"]).status.code() != Some(0)).then_some(()));
}
