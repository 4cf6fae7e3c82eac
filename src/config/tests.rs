//! The rules of the configuration, each through `load` as the program calls it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::audit::SiemFormat;
use crate::ingress::{IdRule, SourceSettings as Source, TypeRule};
use crate::secret::Secret;
use crate::server::networks::Networks;
use crate::telemetry::Format;

const KEY: &str = "a-secret-of-sufficient-length";
const OTHER: &str = "another-secret-of-sufficient-length";

/// Certificates, somebody who may send and one source: the least that makes a configuration.
const LEAST: [(&str, &str); 4] = [
    ("TLS_CERT_FILE", "/run/tls/tls.crt"),
    ("TLS_KEY_FILE", "/run/tls/tls.key"),
    ("GATEPOST_ALLOWED_IPS", "203.0.113.7"),
    ("NICE_WEBHOOK_SECRET", KEY),
];

fn with(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    LEAST.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn without(name: &str) -> BTreeMap<String, String> {
    let mut vars = with(&[]);
    vars.remove(name);
    vars
}

fn read(text: &str, vars: &BTreeMap<String, String>) -> Result<Config, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatepost.toml");
    std::fs::write(&path, text).unwrap();
    load(Some(&path), vars).map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
}

fn good(text: &str, pairs: &[(&str, &str)]) -> Config {
    read(text, &with(pairs)).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// The faults of `text` with the least of variables.
fn faults(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    read(text, &with(pairs)).err().unwrap_or_default()
}

/// A `[[source]]` of preset `nice` called `a`, with `extra` lines.
fn source(extra: &str) -> String {
    format!("[[source]]\nname = 'a'\npreset = 'nice'\npath = '/a'\nsecrets = [{{ env = 'A_SECRET' }}]\n{extra}\n")
}

fn source_faults(extra: &str) -> Vec<String> {
    faults(&source(extra), &[("A_SECRET", OTHER)])
}

fn secrets(source: &Source) -> Vec<&[u8]> {
    source.scheme.secrets().into_iter().map(Secret::expose).collect()
}

/// Whether `check` shows this line.
fn shows(config: &Config, line: &str) -> bool {
    config.describe().lines().any(|shown| shown == line)
}

#[test]
fn variables_alone_make_a_configuration_with_the_documented_defaults() {
    let config =
        load(None, &with(&[])).map_err(|faults| faults.to_string()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.boot.listener.address.to_string(), "[::]:8443");
    assert!(!config.boot.listener.proxy_protocol);
    assert_eq!(config.live.connections.trusted_proxies, Networks::List(vec![]));
    assert_eq!((config.live.connections.max, config.live.connections.max_per_client), (10_000, 1_000));
    assert!(!config.live.tls.allow_tls12 && config.live.tls.client_auth.is_none());
    assert_eq!((config.live.limits.body_bytes, config.live.limits.body_memory_bytes), (1_048_576, 268_435_456));
    assert_eq!(config.live.limits.concurrent_requests, 4096);
    let (limits, deadlines) = (config.live.limits, config.live.deadlines);
    for timeout in [deadlines.handshake, deadlines.header, limits.body_timeout] {
        assert_eq!(timeout, Duration::from_secs(10));
    }
    assert_eq!(deadlines.idle, Duration::from_mins(1));
    assert_eq!(config.live.shutdown.drain_delay, Duration::from_secs(5));
    assert_eq!(config.live.shutdown.drain_timeout, Duration::from_secs(25));
    assert_eq!(config.boot.store_url, "sqlite:data/gatepost.db");
    assert_eq!(config.boot.retention, Duration::from_hours(96));
    assert_eq!((config.live.quarantine.max_entries, config.live.quarantine.max_bytes), (10_000, 67_108_864));
    assert_eq!(config.boot.admin_address.to_string(), "127.0.0.1:9090");
    assert!(config.live.admin_access.token.is_none() && config.live.siem.is_none() && config.live.sinks.is_empty());
    assert!(config.boot.log_format == Format::Json && config.live.log_filter == "info");
    assert_eq!(config.live.sources[0].max_drift, Duration::from_mins(5));
    assert_eq!(config.live.sources[0].body_bytes, 1_048_576);
}

#[test]
fn a_source_of_a_preset_has_the_values_of_its_row() {
    let pairs = [("A_SECRET", OTHER)];
    let text = "[[source]]\nname = 'a'\npreset = 'cognigy-callback'\nsecrets = [{ env = 'A_SECRET' }]\n";
    let config = good(text, &pairs);
    let source = &config.live.sources[0];
    assert_eq!(source.path, "/webhook/cognigy/callback");
    assert_eq!(source.required_fields, ["/sessionId", "/userId"]);
    assert_eq!(source.event_id, IdRule::Digest);
    assert_eq!(source.event_type, TypeRule::Literal("cognigy-callback".into()));
    assert_eq!(source.content_types, ["application/json"]);
    assert!(shows(&config, "signed_content = \"{body}\""));
    assert_eq!(source.stale_status, 401);
}

#[test]
fn every_vendor_is_enabled_by_its_variables() {
    let config = good(
        "",
        &[
            ("CXONE_AWS_ACCESS_KEY", "AKIDEXAMPLE"),
            ("CXONE_AWS_SECRET_KEY", "wJalrXUtnFEMI/K7MDENG"),
            ("CXONE_AWS_REGION", "eu-west-1"),
            ("COGNIGY_WEBHOOK_SECRETS", "the-first-cognigy-secret,the-second-cognigy-secret"),
            ("CXONE_EXPERT_WEBHOOK_SECRET", "the-cxone-expert-secret"),
        ],
    );
    let names: Vec<_> = config.live.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["cxone", "cognigy", "cognigy-callback", "nice", "cxone-expert"]);
    assert!(shows(&config, "service = \"execute-api\""));
    assert!(shows(&config, "access_key_id = \"AKIDEXAMPLE\" # CXONE_AWS_ACCESS_KEY"));
    assert!(shows(&config, "secret = \"[redacted] from variable CXONE_AWS_SECRET_KEY, key AKIDEXAMPLE\""));
    assert_eq!(config.live.sources[1].stale_status, 410);
    assert_eq!(config.live.sources[1].scheme.secrets().len(), 2);
    assert_eq!(config.live.sources[4].content_types.len(), 3);
    assert_eq!(config.warnings, Vec::<String>::new(), "one variable for both Cognigy sources is by design");
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let text = "[listener]\naddress = '127.0.0.1:1'\nproxy_protocol = 'off'\ntrusted_proxies = ['10.0.0.1']\n\
        [tls]\ncert_file = 'c'\n[limits]\nbody_bytes = 1\n[store]\nurl = 'sqlite:f'\nretention = '25h'\n\
        [admin]\naddress = '127.0.0.1:2'\n[log]\nformat = 'pretty'\nfilter = 'warn'\n";
    let file = good(text, &[]);
    assert_eq!(file.boot.listener.address.port(), 1);
    assert_eq!(file.live.tls.certificates[0].cert_file.to_str(), Some("/run/tls/tls.crt"));
    assert_eq!((file.live.limits.body_bytes, file.live.sources[0].body_bytes), (1, 1));
    assert_eq!((file.boot.store_url.as_str(), file.boot.retention.as_secs()), ("sqlite:f", 25 * 3600));
    assert!(file.boot.log_format == Format::Pretty { colour: true } && file.live.log_filter == "warn");
    let both = good(
        text,
        &[
            ("GATEPOST_LISTEN", "127.0.0.1:11"),
            ("GATEPOST_ADMIN_LISTEN", "127.0.0.1:12"),
            ("GATEPOST_PROXY_PROTOCOL", "required"),
            ("WEBHOOK_MAX_BYTES", "2"),
            ("GATEPOST_STORE", "sqlite:e"),
            ("GATEPOST_RETENTION", "26h"),
            ("GATEPOST_LOG", "debug"),
            ("GATEPOST_LOG_FORMAT", "json"),
        ],
    );
    assert_eq!((both.boot.listener.address.port(), both.boot.admin_address.port()), (11, 12));
    assert!(
        both.boot.listener.proxy_protocol && both.boot.log_format == Format::Json && both.live.log_filter == "debug"
    );
    assert_eq!((both.live.limits.body_bytes, both.boot.store_url.as_str()), (2, "sqlite:e"));
    assert_eq!(both.boot.retention.as_secs(), 26 * 3600);
}

#[test]
fn what_one_key_may_not_be() {
    for (text, at) in [
        ("[listener]\naddress = 'localhost:1'", "listener.address: "),
        ("[listener]\nproxy_protocol = 'on'", "listener.proxy_protocol: "),
        ("[listener]\nproxy_protocol = 'required'", "listener.proxy_protocol: "),
        ("[listener]\ntrusted_proxies = ['any']", "listener.trusted_proxies: "),
        ("[listener]\nmax_connections = 0", "listener.max_connections: "),
        ("[tls]\nmin_version = '1.1'", "tls.min_version: "),
        ("[[tls.certificate]]\ncert_file = 'c'", "tls.certificate[0].key_file: "),
        ("[limits]\nbody_bytes = 0", "limits.body_bytes: "),
        ("[limits]\nbody_bytes = 2000\nbody_memory_bytes = 1000", "limits.body_bytes: "),
        ("[limits]\nbody_timeout = 10", "limits.body_timeout: "),
        ("[limits]\nheader_timeout = '0s'", "limits.header_timeout: "),
        ("[limits]\nconcurrent_requests = -1", "limits.concurrent_requests: "),
        ("[shutdown]\ndrain_timeout = '0s'", "shutdown.drain_timeout: "),
        ("[store]\nurl = 'mysql://x'", "store.url: "),
        ("[store]\nretention = '23h'", "store.retention: "),
        ("[quarantine]\nmax_entries = 0", "quarantine.max_entries: "),
        ("[admin]\naddress = '0.0.0.0:9090'", "admin.token: "),
        ("[admin]\ntoken = 'literal-literal-literal'", "admin.token: "),
        ("[admin]\naddress = '[::]:8443'\ntoken = { value = 'literal-literal-literal' }", "admin.address: "),
        ("[log]\nfilter = 'gatepost=loud'", "log.filter: "),
        ("[log]\nformat = 'text'", "log.format: "),
        ("[siem]\nformat = 'ecs'", "siem.url: "),
        ("[siem]\nurl = 'siem.internal'", "siem.url: "),
        ("[siem]\nurl = 'https://s/'\nformat = 'xml'", "siem.format: "),
        ("[source]\nname = 'a'", "source: "),
        ("colour = 1", "colour: unknown key"),
    ] {
        let found = faults(text, &[]);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].starts_with(at), "{text}\n{found:#?}");
    }
}

#[test]
fn what_one_variable_may_not_be() {
    for (name, value, at) in [
        ("GATEPOST_LISTEN", "8443", "GATEPOST_LISTEN: "),
        ("GATEPOST_ALLOWED_IPS", "", "GATEPOST_ALLOWED_IPS: "),
        ("GATEPOST_ALLOWED_IPS", "any,10.0.0.1", "GATEPOST_ALLOWED_IPS: "),
        ("GATEPOST_TRUSTED_PROXIES", "any", "GATEPOST_TRUSTED_PROXIES: "),
        ("GATEPOST_PROXY_PROTOCOL", "yes", "GATEPOST_PROXY_PROTOCOL: "),
        ("GATEPOST_MAX_DRIFT_SECONDS", "0", "GATEPOST_MAX_DRIFT_SECONDS: "),
        ("GATEPOST_MAX_DRIFT_SECONDS", "901", "GATEPOST_MAX_DRIFT_SECONDS: "),
        ("GATEPOST_MAX_DRIFT_SECONDS", "300s", "GATEPOST_MAX_DRIFT_SECONDS: "),
        ("GATEPOST_MAX_DRIFT_SECONDS", "+5", "GATEPOST_MAX_DRIFT_SECONDS: "),
        ("WEBHOOK_MAX_BYTES", "1MiB", "WEBHOOK_MAX_BYTES: "),
        ("GATEPOST_STORE", "data.db", "GATEPOST_STORE: "),
        ("GATEPOST_RETENTION", "96", "GATEPOST_RETENTION: "),
        ("GATEPOST_FORWARD_URL", "ftp://x/", "GATEPOST_FORWARD_URL: "),
        ("GATEPOST_FORWARD_SECRET", "whsec_ZGV2ZWxvcG1lbnQtb25seS1mb3J3YXJkLXg=", "GATEPOST_FORWARD_URL: "),
        ("GATEPOST_SIEM_TOKEN", "a-token", "siem.url: "),
        ("GATEPOST_ADMIN_TOKEN", "two words", "GATEPOST_ADMIN_TOKEN: "),
        ("GATEPOST_ADMIN_TOKEN_FILE", "/nowhere/token", "GATEPOST_ADMIN_TOKEN_FILE: "),
        ("GATEPOST_LOG", "gatepost=loud", "GATEPOST_LOG: "),
        ("GATEPOST_LOG_FORMAT", "xml", "GATEPOST_LOG_FORMAT: "),
        ("NICE_WEBHOOK_SECRET", "too-short", "NICE_WEBHOOK_SECRET: "),
        ("NICE_WEBHOOK_SECRET", "                    ", "NICE_WEBHOOK_SECRET: "),
        ("NICE_WEBHOOK_SECRET_FILE", "/x", "NICE_WEBHOOK_SECRET: "),
        ("GATEPOST_LISTN", "[::]:1", "GATEPOST_LISTN: unknown variable (did you mean GATEPOST_LISTEN?)"),
    ] {
        let found = faults("", &[(name, value)]);
        assert_eq!(found.len(), 1, "{name}={value}\n{found:#?}");
        assert!(found[0].starts_with(at), "{name}={value}\n{found:#?}");
    }
}

#[test]
fn what_a_source_may_not_be() {
    for (extra, at) in [
        ("region = 'eu-west-1'", "source[0].region: "),
        ("keys = []", "source[0].keys: "),
        ("max_drift = '0s'", "source[0].max_drift: "),
        ("max_drift = '901s'", "source[0].max_drift: "),
        ("max_drift = '1500ms'", "source[0].max_drift: "),
        ("max_drift = 300", "source[0].max_drift: "),
        ("allowed_ips = []", "source[0].allowed_ips: "),
        ("allowed_ips = ['any']", "source[0].allowed_ips: "),
        ("allowed_ips = '10.0.0.1'", "source[0].allowed_ips: "),
        ("body_bytes = 0", "source[0].body_bytes: "),
        ("body_bytes = 268435457", "source[0].body_bytes: "),
        ("event_id = 'id'", "source[0].event_id: "),
        ("event_type = ''", "source[0].event_type: "),
        ("required_fields = ['/a', 'b']", "source[0].required_fields[1]: "),
        ("content_types = []", "source[0].content_types: "),
        ("content_types = ['json']", "source[0].content_types[0]: "),
        ("body_format = 'xml'", "source[0].body_format: "),
        ("stale_status = 403", "source[0].stale_status: "),
        ("stale_status = '410'", "source[0].stale_status: "),
        ("sinks = ['nowhere']", "source[0].sinks[0]: "),
        ("secret = 'x'", "source[0].secret: unknown key (did you mean secrets?)"),
    ] {
        let found = source_faults(extra);
        assert_eq!(found.len(), 1, "{extra}\n{found:#?}");
        assert!(found[0].starts_with(at), "{extra}\n{found:#?}");
    }
    assert_eq!(source_faults("max_drift = '900s'\nstale_status = 410\nsinks = []"), Vec::<String>::new());
}

#[test]
fn every_bad_address_is_named() {
    let found = source_faults("allowed_ips = ['010.0.0.1', '127.1', '10.0.0.0/33', '10.0.0.1']");
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_window_needs_a_timestamp() {
    let text =
        "[[source]]\nname = 'a'\npreset = 'cognigy-callback'\nsecrets = [{ env = 'A_SECRET' }]\nmax_drift = '60s'\n";
    let found = faults(text, &[("A_SECRET", OTHER)]);
    assert!(found.len() == 1 && found[0].starts_with("source[0].max_drift: "), "{found:#?}");
}

#[test]
fn names_and_paths_are_unique_and_the_second_is_the_faulty_one() {
    let two = format!("{}{}", source(""), source(""));
    let found = faults(&two, &[("A_SECRET", OTHER)]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("source[1].name: ") && found[1].starts_with("source[1].path: "), "{found:#?}");
    let taken = source("").replace("/a", "/webhooks/nice");
    let found = faults(&taken, &[("A_SECRET", OTHER)]);
    assert!(found.len() == 1 && found[0].starts_with("NICE_WEBHOOK_SECRET: "), "{found:#?}");
}

#[test]
fn a_source_without_preset_is_spelled_out() {
    let found = faults("[[source]]\nname = 'a'\npreset = 'hmac'\n", &[]);
    for key in ["path", "signature_header", "signature_format", "signed_content", "event_id", "secrets"] {
        assert!(
            found.iter().any(|fault| fault.starts_with(&format!("source[0].{key}: is missing"))),
            "{key}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), 6, "{found:#?}");
    let found = faults("[[source]]\n", &[]);
    assert_eq!(found.len(), 2, "name and preset\n{found:#?}");
    let found = faults("[[source]]\nname = 'a'\npreset = 'twilio'\nanything = 1\n", &[]);
    assert!(found.len() == 1 && found[0].contains("standard-webhooks"), "{found:#?}");
}

#[test]
fn an_aws_source_needs_region_and_keys_and_nothing_of_hmac() {
    let text = "[[source]]\nname = 'a'\npreset = 'cxone'\nsignature_header = 'X'\nsecrets = [{ env = 'A' }]\n";
    let found = faults(text, &[]);
    let places: Vec<_> = found.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(places, ["source[0].secrets", "source[0].signature_header", "source[0].region", "source[0].keys"]);
    let text = "[[source]]\nname = 'a'\npreset = 'cxone'\nregion = 'eu-west-1'\nkeys = [{ access_key_id = 1, secrt = 1 }, 7]\n";
    let found = faults(text, &[]);
    let expected = [
        "source[0].keys[0].secret: is missing",
        "source[0].keys[0].access_key_id: expected a string",
        "source[0].keys[0].secrt: unknown key (did you mean secret?)",
        "source[0].keys[1]: expected a table",
    ];
    for expected in expected {
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn a_key_whose_session_token_is_faulty_is_no_key() {
    let text = "[[source]]\nname = 'a'\npreset = 'cxone'\nregion = 'eu-west-1'\n\
        keys = [{ access_key_id = 'AKID', secret = { env = 'A_SECRET' }, session_token = { env = 'MISSING' } }]\n";
    let found = faults(text, &[("A_SECRET", OTHER)]);
    assert!(found[0].starts_with("source[0].keys[0].session_token: "), "{found:#?}");
}

#[test]
fn a_source_without_allowlist_takes_that_of_the_environment_and_one_must_be() {
    let config = good(&source("allowed_ips = 'any'"), &[("A_SECRET", OTHER)]);
    assert_eq!(config.live.sources[0].allowed_ips, Networks::Any);
    assert!(config.warnings.iter().any(|warning| warning.contains("source a") && warning.contains("any")));
    let mut vars = without("GATEPOST_ALLOWED_IPS");
    let found = read("", &vars).err().unwrap();
    assert!(found.len() == 1 && found[0].starts_with("GATEPOST_ALLOWED_IPS: is missing"), "{found:#?}");
    vars.remove("NICE_WEBHOOK_SECRET");
    vars.insert("A_SECRET".into(), OTHER.into());
    let found = read(&source(""), &vars).err().unwrap();
    assert!(found.len() == 1 && found[0].starts_with("source[0].allowed_ips: is missing"), "{found:#?}");
}

#[test]
fn no_source_at_all_says_how_to_enable_one() {
    let found = read("", &without("NICE_WEBHOOK_SECRET")).err().unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("[[source]]") && found[0].contains("COGNIGY_WEBHOOK_SECRETS"), "{found:#?}");
}

#[test]
fn missing_certificates_name_both_ways() {
    let found = read("", &without("TLS_KEY_FILE")).err().unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("tls.key_file: ") && found[0].contains("TLS_KEY_FILE"), "{found:#?}");
}

#[test]
fn the_environments_secrets_replace_those_of_the_source_of_that_name() {
    let text = "[[source]]\nname = 'nice'\npreset = 'nice'\npath = '/mine'\nsecrets = [{ file = '/nowhere' }]\n";
    let config = good(text, &[]);
    assert_eq!(config.live.sources.len(), 1);
    assert_eq!(
        (config.live.sources[0].path.as_str(), secrets(&config.live.sources[0])),
        ("/mine", vec![KEY.as_bytes()])
    );
    let config = good(&text.replace("secrets = [{ file = '/nowhere' }]\n", ""), &[]);
    assert_eq!(secrets(&config.live.sources[0]), [KEY.as_bytes()]);
    let found = faults("[[source]]\nname = 'nice'\npreset = 'cxone'\nregion = 'r'\n", &[]);
    assert!(found.iter().any(|fault| fault.starts_with("source[0].name: ")), "{found:#?}");
}

#[test]
fn the_aws_variables_replace_keys_region_and_service_of_source_cxone() {
    let text = "[[source]]\nname = 'cxone'\npreset = 'cxone'\npath = '/mine'\nregion = 'us-east-1'\n";
    let config = good(
        text,
        &[
            ("CXONE_AWS_ACCESS_KEY", "AKIDEXAMPLE"),
            ("CXONE_AWS_SECRET_KEY", OTHER),
            ("CXONE_AWS_REGION", "eu-west-1"),
            ("CXONE_AWS_SERVICE", "lambda"),
        ],
    );
    let cxone = &config.live.sources[0];
    assert_eq!(cxone.path, "/mine");
    assert!(shows(&config, "region = \"eu-west-1\" # CXONE_AWS_REGION"));
    assert!(shows(&config, "service = \"lambda\" # CXONE_AWS_SERVICE"));
    assert_eq!(cxone.scheme.secrets().len(), 1);
}

#[test]
fn sources_that_share_a_secret_are_told_once_for_each_pair() {
    let config = good(&source(""), &[("A_SECRET", KEY)]);
    let told: Vec<_> = config.warnings.iter().filter(|warning| warning.contains("share a secret")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(" a ") && told[0].contains("nice") && !told[0].contains(KEY));
    assert!(good(&source(""), &[("A_SECRET", OTHER)]).warnings.is_empty());
}

#[test]
fn a_secret_that_stands_in_the_file_is_told() {
    let text = source("").replace("{ env = 'A_SECRET' }", "{ value = 'development-only-secret' }");
    let config = good(&text, &[]);
    assert!(config.warnings.iter().any(|warning| warning.contains("source[0].secrets[0]")), "{:?}", config.warnings);
    assert!(!config.warnings.concat().contains("development-only-secret"));
}

#[test]
fn secrets_come_from_files_named_by_variables_and_are_watched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nice");
    std::fs::write(&path, format!("{KEY}, {OTHER}\n")).unwrap();
    let mut vars = without("NICE_WEBHOOK_SECRET");
    vars.insert("NICE_WEBHOOK_SECRETS_FILE".into(), path.display().to_string());
    let config = load(None, &vars).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(secrets(&config.live.sources[0]), [KEY.as_bytes(), OTHER.as_bytes()]);
    let watched: Vec<_> = config.files.iter().map(|file| file.to_str().unwrap()).collect();
    for file in ["/run/tls/tls.crt", "/run/tls/tls.key", path.to_str().unwrap()] {
        assert!(watched.contains(&file), "{file} in {watched:?}");
    }
}

#[test]
fn a_reference_takes_the_file_form_of_its_variable_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, OTHER).unwrap();
    let config = good(&source(""), &[("A_SECRET_FILE", path.to_str().unwrap())]);
    assert_eq!(secrets(&config.live.sources[0]), [OTHER.as_bytes()]);
    let text = source("").replace("A_SECRET", "GATEPOST_MINE");
    good(&text, &[("GATEPOST_MINE", OTHER)]);
    let found = faults(&source(""), &[]);
    assert!(found.len() == 1 && found[0].starts_with("source[0].secrets[0]: ") && found[0].contains("A_SECRET"));
}

#[test]
fn the_store_url_may_be_a_secret() {
    let text = "[store]\nurl = { env = 'STORE_URL' }\n";
    let config = good(text, &[("STORE_URL", "postgres://u:hunter2@db/gatepost")]);
    assert_eq!(config.boot.store_url, "postgres://u:hunter2@db/gatepost");
    assert!(!config.describe().contains("hunter2"));
    let found = faults(text, &[("STORE_URL", "mysql://u:hunter2@db/gatepost")]);
    assert!(found.len() == 1 && !found[0].contains("hunter2"), "{found:#?}");
}

#[test]
fn a_file_that_is_not_toml_is_one_fault_with_its_line_and_without_its_text() {
    let found = faults("[log]\nformat = 'json'\ntoken = 'hunter2\n", &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("gatepost.toml:3: ") && !found[0].contains("hunter2"), "{found:#?}");
    let found = load(Some(std::path::Path::new("/nowhere/gatepost.toml")), &with(&[])).err().unwrap();
    assert!(found.0.len() == 1 && found.0[0].at == "/nowhere/gatepost.toml", "{found}");
}

#[test]
fn further_certificates_follow_the_first() {
    let text =
        "[tls]\nmin_version = '1.2'\nclient_ca_file = 'ca'\n[[tls.certificate]]\ncert_file = 'c2'\nkey_file = 'k2'\n";
    let config = good(text, &[]);
    assert_eq!(config.live.tls.certificates.len(), 2);
    assert_eq!(config.live.tls.certificates[1].key_file.to_str(), Some("k2"));
    assert!(config.live.tls.allow_tls12 && config.warnings.iter().any(|warning| warning.contains("1.2")));
    for file in ["c2", "k2", "ca"] {
        assert!(config.files.iter().any(|watched| watched.to_str() == Some(file)), "{file}");
    }
}

#[test]
fn siem_by_variables_and_open_wires_are_told() {
    let config = good(
        "[siem]\nurl = 'https://file/'\n",
        &[("GATEPOST_SIEM_URL", "http://siem.internal/x"), ("GATEPOST_SIEM_TOKEN", "t")],
    );
    let siem = config.live.siem.as_ref().unwrap();
    assert_eq!((siem.url.as_str(), siem.format), ("http://siem.internal/x", SiemFormat::Json));
    assert_eq!(siem.token.as_ref().map(Secret::expose), Some(&b"t"[..]));
    assert!(config.warnings.iter().any(|warning| warning.starts_with("siem.url") && warning.contains("http://")));
    assert!(good("[siem]\nurl = 'http://localhost:1/'\n", &[]).warnings.is_empty());
}

#[test]
fn the_admin_address_may_leave_loopback_with_a_token() {
    let config =
        good("", &[("GATEPOST_ADMIN_LISTEN", "0.0.0.0:9090"), ("GATEPOST_ADMIN_TOKEN", "a-long-enough-admin-token")]);
    assert!(config.live.admin_access.is_guarded() && config.warnings.is_empty());
    let config = good("", &[("GATEPOST_ADMIN_TOKEN", "short")]);
    assert!(config.warnings.iter().any(|warning| warning.starts_with("admin.token: ")), "{:?}", config.warnings);
}

#[test]
fn sinks_have_defaults_and_are_all_a_source_s_own() {
    let text = format!(
        "[[sink]]\nname = 'orders'\ntype = 'http'\nurl = 'https://orders.internal/'\n{}",
        source("sinks = ['orders']")
    );
    let config = good(&text, &[("A_SECRET", OTHER), ("GATEPOST_FORWARD_URL", "http://127.0.0.1:9/")]);
    let names: Vec<_> = config.live.sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["orders", "forward"]);
    let orders = &config.live.sinks[0];
    assert_eq!((orders.timeout, orders.max_age), (Duration::from_secs(10), Duration::from_hours(72)));
    assert_eq!((orders.concurrency, orders.max_attempts), (16, 12));
    for source in &config.live.sources {
        assert_eq!(source.sinks.len(), 2, "forward is for all sources: {}", source.name);
    }
}

#[test]
fn what_a_sink_may_not_be() {
    let found = faults(
        "[[sink]]\nname = 'a'\ntype = 'http'\nurl = 'https://h/'\nsecret = 'x'\ntimeout = '0s'\nconcurrency = 0\nmax_attempts = 0\n\
         max_age = '0s'\nevent_types = []\nuri = 1\n[[sink]]\nname = 'a'\n",
        &[],
    );
    for at in [
        "sink[0].secret: ",
        "sink[0].timeout: ",
        "sink[0].concurrency: ",
        "sink[0].max_attempts: ",
        "sink[0].max_age: ",
        "sink[0].event_types: ",
        "sink[0].uri: unknown key (did you mean url?)",
        "sink[1].name: ",
        "sink[1].type: is missing",
        "sink[1].url: is missing",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(at)), "{at}\n{found:#?}");
    }
}

#[test]
fn the_description_shows_everything_but_secrets() {
    let config = good(
        &source("max_drift = '60s'"),
        &[("A_SECRET", OTHER), ("GATEPOST_ADMIN_TOKEN", "a-long-enough-admin-token")],
    );
    let text = config.describe();
    for secret in [KEY, OTHER, "a-long-enough-admin-token"] {
        assert!(!text.contains(secret), "{text}");
    }
    for line in [
        "address = \"[::]:8443\"",
        "retention = \"96h\"",
        "name = \"a\"",
        "max_drift = \"60s\"",
        "secrets = [\"[redacted] from variable A_SECRET, key 571b3a87\"]",
        "token = \"[redacted] from variable GATEPOST_ADMIN_TOKEN\"",
        "allowed_ips = [\"203.0.113.7/32\"]",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
