//! The configuration that ships, and the promise that every fault is told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gatepost::config::load;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Writes `text` as a configuration and returns the faults it has.
#[expect(clippy::expect_used, reason = "a test that cannot write its own file cannot go on")]
fn faults(text: &str, vars: &BTreeMap<String, String>) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("gatepost.toml");
    std::fs::write(&path, text).expect("a file");
    let faults = load(Some(&path), vars).err().map(|faults| faults.0).unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn the_shipped_file_loads_once_its_secrets_are_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let secrets = [
        ("cxone", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("bot-a-new", "bot-a-new-secret-value"),
        ("orders", "whsec_b3JkZXJzLXNpbmstc2VjcmV0LTAwMDAwMDAx"),
        ("siem", "siem-token"),
    ];
    for (name, secret) in secrets {
        std::fs::write(dir.path().join(name), format!("{secret}\n")).expect("a secret");
    }
    let text = std::fs::read_to_string(shipped("gatepost.toml")).expect("the shipped file");
    let path = dir.path().join("gatepost.toml");
    std::fs::write(&path, text.replace("/run/secrets", &dir.path().display().to_string())).expect("a copy");
    let vars = vars(&[
        ("GATEPOST_ADMIN_TOKEN", "an-admin-token-of-some-length"),
        ("BOT_A_OLD", "bot-a-old-secret-value"),
        ("OTHER_SECRET", "other-vendor-secret-value"),
    ]);
    let config = load(Some(&path), &vars).unwrap_or_else(|faults| panic!("{faults}"));
    let names: Vec<&str> = config.live.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["cxone-emea", "bot-a", "other-vendor"]);
    assert_eq!(config.live.sources[1].scheme.secrets().len(), 2);
    assert_eq!(config.live.sinks.len(), 1);
    assert!(config.live.siem.is_some() && config.live.admin_access.is_guarded());
    assert_eq!(config.warnings.len(), 1, "only allowed_ips = \"any\": {:?}", config.warnings);
    for (name, secret) in secrets {
        assert!(config.files.contains(&dir.path().join(name)), "{name} is watched");
        assert!(!config.describe().contains(secret), "{name} is not shown");
    }
}

#[test]
fn the_shipped_file_names_every_secret_that_is_missing() {
    let text = std::fs::read_to_string(shipped("gatepost.toml")).expect("the shipped file");
    let found = faults(&text.replace("/run/secrets", "/nowhere"), &vars(&[]));
    for at in [
        "admin.token: ",
        "source[0].keys[0].secret: ",
        "source[1].secrets[0]: ",
        "source[1].secrets[1]: ",
        "source[2].secrets[0]: ",
        "sink[0].secret: ",
        "siem.token: ",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(at)), "{at}\n{found:#?}");
    }
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn the_development_file_loads_as_it_is() {
    let config = load(Some(&shipped("dev.toml")), &vars(&[])).unwrap_or_else(|faults| panic!("{faults}"));
    let names: Vec<&str> = config.live.sources.iter().map(|source| source.name.as_str()).collect();
    let signed = ["cxone", "cognigy", "cognigy-callback", "nice", "cxone-expert", "standard-webhooks"];
    let tokens = ["cxone-studio", "cxone-integration-hub", "cognigy-webhook", "cognigy-logs", "eventbridge", "token"];
    assert_eq!(names, [&signed[..], &tokens, &["jwt", "example"]].concat());
    assert!(config.boot.listener.address.ip().is_loopback() && config.boot.admin_address.ip().is_loopback());
    for source in &config.live.sources {
        assert!(source.allowed_ips.contains("127.0.0.1".parse().expect("an address")), "{}", source.name);
        assert!(!source.allowed_ips.contains("203.0.113.7".parse().expect("an address")), "{}", source.name);
    }
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("development"), "{:?}", config.warnings);
    assert!(!config.describe().contains("development-only"));
}

#[test]
fn the_shipped_environment_names_exactly_the_documented_variables() {
    let documented = [
        "CXONE_AWS_ACCESS_KEY",
        "CXONE_AWS_SECRET_KEY",
        "CXONE_AWS_REGION",
        "CXONE_AWS_SERVICE",
        "COGNIGY_WEBHOOK_SECRETS",
        "COGNIGY_WEBHOOK_SECRET",
        "NICE_WEBHOOK_SECRETS",
        "NICE_WEBHOOK_SECRET",
        "CXONE_EXPERT_WEBHOOK_SECRETS",
        "CXONE_EXPERT_WEBHOOK_SECRET",
        "CXONE_STUDIO_TOKENS",
        "COGNIGY_WEBHOOK_BASIC",
        "EVENTBRIDGE_API_KEYS",
        "WEBHOOK_MAX_BYTES",
        "TLS_CERT_FILE",
        "TLS_KEY_FILE",
        "GATEPOST_LISTEN",
        "GATEPOST_ADMIN_LISTEN",
        "GATEPOST_ALLOWED_IPS",
        "GATEPOST_TRUSTED_PROXIES",
        "GATEPOST_PROXY_PROTOCOL",
        "GATEPOST_MAX_DRIFT_SECONDS",
        "GATEPOST_STORE",
        "GATEPOST_RETENTION",
        "GATEPOST_FORWARD_URL",
        "GATEPOST_FORWARD_SECRET",
        "GATEPOST_SIEM_URL",
        "GATEPOST_SIEM_TOKEN",
        "GATEPOST_ADMIN_TOKEN",
        "GATEPOST_LOG",
        "GATEPOST_LOG_FORMAT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_EXPORTER",
    ];
    let text = std::fs::read_to_string(shipped("gatepost.env")).expect("the shipped file");
    let assignments = text.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let named: Vec<&str> = assignments.map(|(name, _)| name).collect();
    assert_eq!(BTreeSet::from_iter(named.clone()), BTreeSet::from(documented));
    assert_eq!(named.len(), documented.len(), "each once");
}

#[test]
fn the_shipped_environment_lacks_only_what_every_site_must_say() {
    let text = std::fs::read_to_string(shipped("gatepost.env")).expect("the shipped file");
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let mut set: BTreeMap<String, String> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(load(None, &set).is_err(), "no source and no allowlist");
    set.insert("GATEPOST_ALLOWED_IPS".into(), "203.0.113.7".into());
    set.insert("COGNIGY_WEBHOOK_SECRETS".into(), "a-new-cognigy-secret,an-old-cognigy-secret".into());
    let config = load(None, &set).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.live.sources.len(), 2);
}

#[test]
fn ten_faults_are_told_at_once_each_with_its_place() {
    let text = r#"
colour = "blue"
[listener]
adress = "[::]:8443"
max_connections = "many"
[limits]
body_timeout = 10
[store]
retention = "1h"
[[source]]
name = "Bot A"
preset = "cognigy"
secrets = ["hunter2-hunter2-hunter2", { env = "SHORT" }]
allowed_ips = []
stale_status = 418
"#;
    let set = vars(&[
        ("TLS_CERT_FILE", "/c"),
        ("TLS_KEY_FILE", "/k"),
        ("SHORT", "hunter2"),
        ("GATEPOST_LISTN", "x"),
        ("CXONE_AWS_REGION", "eu-west-1"),
    ]);
    let found = faults(text, &set);
    let expected = [
        "colour: unknown key",
        "listener.adress: unknown key (did you mean address?)",
        "listener.max_connections: expected a whole number, found a string",
        "limits.body_timeout: expected a number and a unit",
        "store.retention: expected a duration from 24h",
        "source[0].name: expected 1 to 40",
        "source[0].secrets[0]: a secret does not stand in the file",
        "source[0].secrets[1]: the secret is shorter than 16 bytes (variable SHORT)",
        "source[0].allowed_ips: is empty",
        "source[0].stale_status: expected 401 or 410",
        "GATEPOST_LISTN: unknown variable (did you mean GATEPOST_LISTEN?)",
        "CXONE_AWS_ACCESS_KEY: is not set, but CXONE_AWS_REGION is",
        "CXONE_AWS_SECRET_KEY: is not set",
        "GATEPOST_ALLOWED_IPS: is missing",
    ];
    for expected in expected {
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(!found.concat().contains("hunter2"), "{found:#?}");
}
