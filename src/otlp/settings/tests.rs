//! Which endpoint, headers and variables count, and what is said of those that cannot.

use std::collections::BTreeMap;

use super::*;
use crate::trace::Sampler;

const FILE: &str = "[telemetry]\notlp_endpoint = 'http://127.0.0.1:4318'\n";

struct Reading {
    settings: Option<Settings>,
    errors: Vec<String>,
    warnings: Vec<String>,
    shown: String,
}

fn read(file: &str, vars: &[(&str, &str)]) -> Reading {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>();
    let mut diagnostics = Diagnostics::new(&vars);
    let settings = Settings::read(&mut Table::new("", "", file.parse().unwrap()), &mut diagnostics);
    let mut shown = String::new();
    diagnostics.sections.iter().for_each(|section| section.write(&mut shown));
    let errors = diagnostics.errors.iter().map(ToString::to_string).collect();
    Reading { settings, errors, warnings: diagnostics.warnings, shown }
}

fn good(file: &str, vars: &[(&str, &str)]) -> Settings {
    let reading = read(file, vars);
    assert_eq!(reading.errors, Vec::<String>::new());
    reading.settings.unwrap()
}

#[test]
fn spans_go_below_the_shared_endpoint_or_to_the_one_of_their_own() {
    let url = |file, vars: &[_]| good(file, vars).url.to_string();
    assert_eq!(url(FILE, &[]), "http://127.0.0.1:4318/v1/traces");
    assert_eq!(url(FILE, &[(ENDPOINT, "http://127.0.0.1:1/otlp/?a=b")]), "http://127.0.0.1:1/otlp/v1/traces?a=b");
    assert_eq!(url("", &[(ENDPOINT, "http://127.0.0.1:1")]), "http://127.0.0.1:1/v1/traces");
    let own = (TRACES_ENDPOINT, "http://127.0.0.1:2/here");
    assert_eq!(url(FILE, &[(ENDPOINT, "http://127.0.0.1:1"), own]), "http://127.0.0.1:2/here");
    assert_eq!(url("", &[own]), "http://127.0.0.1:2/here");
}

#[test]
fn without_an_endpoint_or_switched_off_there_is_nothing_and_nothing_is_wrong() {
    let junk = ("OTEL_TRACES_SAMPLER", "dice");
    for (file, vars) in [
        ("", &[junk][..]),
        ("[telemetry]\n", &[(ENDPOINT, " "), junk]),
        (FILE, &[("OTEL_SDK_DISABLED", "True"), junk]),
        (FILE, &[("OTEL_TRACES_EXPORTER", "none"), junk]),
    ] {
        let reading = read(file, vars);
        assert!(reading.settings.is_none() && reading.shown.is_empty(), "{vars:?}");
        assert_eq!((reading.errors, reading.warnings), (vec![], vec![]));
    }
    assert!(read(FILE, &[("OTEL_SDK_DISABLED", "no")]).settings.is_some());
}

#[test]
fn what_cannot_act_is_an_error() {
    let errors = |file, vars: &[_]| read(file, vars).errors;
    let alone = errors("[telemetry]\notlp_headers = { value = 'a=b' }\n", &[]);
    assert!(alone.len() == 1 && alone[0].starts_with("telemetry.otlp_endpoint: is missing"), "{alone:?}");
    assert_eq!(errors("[telemetry]\nendpoint = 'x'\n", &[]).len(), 1);
    for (name, value) in [
        (ENDPOINT, "collector:4318"),
        (TRACES_ENDPOINT, "grpc://127.0.0.1:4317"),
        ("OTEL_TRACES_SAMPLER", "dice"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2hunter2"),
        (TRACES_HEADERS, "api key=hunter2hunter2"),
    ] {
        let errors = errors(FILE, &[(name, value)]);
        assert!(errors.len() == 1 && errors[0].starts_with(name), "{name}: {errors:?}");
        assert!(!errors[0].contains("hunter2"), "{errors:?}");
    }
}

#[test]
fn headers_are_secrets_and_those_for_traces_win() {
    let shared = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2%20x, b=2");
    let reading = read(FILE, &[shared]);
    assert_eq!(reading.errors, Vec::<String>::new());
    assert!(!reading.shown.contains("hunter2"), "{}", reading.shown);
    let named = |settings: &Settings| {
        settings.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(named(&reading.settings.unwrap()), ["api-key: hunter2 x", "b: 2"]);
    let both = good(FILE, &[shared, (TRACES_HEADERS, "c=3")]);
    assert_eq!(named(&both), ["c: 3"]);
    assert!(both.headers.iter().all(|(_, value)| value.is_sensitive()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    std::fs::write(&file, "d=4\n").unwrap();
    let named_file = format!("{FILE}otlp_headers = {{ file = {:?} }}\n", file.display().to_string());
    assert_eq!(named(&good(&named_file, &[])), ["d: 4"]);
    assert_eq!(named(&good(FILE, &[("OTEL_EXPORTER_OTLP_TRACES_HEADERS_FILE", file.to_str().unwrap())])), ["d: 4"]);
}

#[test]
fn the_standard_variables_count() {
    let of = |vars: &[_]| good(FILE, vars).standard;
    let plain = of(&[]);
    assert_eq!((plain.timeout, plain.delay), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!(plain.sampler, Sampler { by_parent: true, ratio: 1.0 });
    let version = env!("CARGO_PKG_VERSION");
    let resource = |standard: &Standard| {
        standard.resource.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(resource(&plain), ["service.name=gatepost".to_owned(), format!("service.version={version}")]);
    let told = of(&[
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"),
        ("OTEL_BSP_SCHEDULE_DELAY", "3"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,service.version=7,deployment.environment.name=prod%2Ceu"),
    ]);
    assert_eq!((told.timeout, told.delay), (Duration::from_millis(2), Duration::from_millis(3)));
    assert_eq!(told.sampler, Sampler { by_parent: false, ratio: 0.25 });
    assert_eq!(resource(&told), ["service.name=a", "service.version=7", "deployment.environment.name=prod,eu"]);
    let named = of(&[("OTEL_SERVICE_NAME", "hooks"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,x=y")]);
    assert_eq!(resource(&named)[..2], ["x=y", "service.name=hooks"]);
}

#[test]
fn what_is_allowed_and_hardly_meant_is_warned_of() {
    let warnings = |file: &str, vars: &[_]| read(file, vars).warnings;
    let open = warnings("[telemetry]\notlp_endpoint = 'http://collector.internal:4318'\n", &[]);
    assert!(
        open.len() == 1 && open[0].starts_with("telemetry.otlp_endpoint: traces go to another machine"),
        "{open:?}"
    );
    assert_eq!(warnings(FILE, &[]), Vec::<String>::new());
    let grpc = warnings(FILE, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert!(grpc.len() == 1 && grpc[0].contains("4318"), "{grpc:?}");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
    assert_eq!(warnings(FILE, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), own]), Vec::<String>::new());
}
