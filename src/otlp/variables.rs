//! What OpenTelemetry's own variables say of spans, beside where they go.
//!
//! Source: OpenTelemetry specification, environment variables. An empty one is as if unset. They are read only where there is
//! an endpoint: a machine may set them for all that runs on it.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::pairs;
use crate::settings::kind::{Choice, choice, number, path, text, words};
use crate::settings::{Diagnostics, Table, variable};
use crate::sink::ClientSettings;
use crate::trace::Sampler;

/// Milliseconds that something may take or wait.
const MILLIS: RangeInclusive<u64> = 1..=3_600_000;
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
/// The one that we speak.
const SPOKEN: &str = "http/protobuf";

/// What decides which traces are recorded; a share has its number elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Rule {
    by_parent: bool,
    share: Share,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    All,
    None,
    Some,
}

const fn rule(by_parent: bool, share: Share) -> Rule {
    Rule { by_parent, share }
}

const SAMPLERS: Choice<Rule> = choice(&[
    ("parentbased_always_on", rule(true, Share::All)),
    ("parentbased_always_off", rule(true, Share::None)),
    ("parentbased_traceidratio", rule(true, Share::Some)),
    ("always_on", rule(false, Share::All)),
    ("always_off", rule(false, Share::None)),
    ("traceidratio", rule(false, Share::Some)),
]);

/// What the standard variables say.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Standard {
    /// What a request to the collector may take.
    pub timeout: Duration,
    /// How long spans gather.
    pub delay: Duration,
    /// Which traces are recorded.
    pub sampler: Sampler,
    /// What is said of this program.
    pub resource: Vec<(String, String)>,
}

impl Standard {
    /// Reads them; what is said of trust goes to `client`.
    pub(super) fn read(client: &mut ClientSettings, table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let doc = "Milliseconds that a request to the collector may take.";
        let shared = variable("OTEL_EXPORTER_OTLP_TIMEOUT", doc, number(MILLIS)).or(10_000, table, diagnostics);
        let doc = "The same for traces alone; wins.";
        let own = variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", doc, number(MILLIS)).maybe(table, diagnostics);
        let doc = "Milliseconds that spans gather before they are sent, where no batch is full before.";
        let delay = variable("OTEL_BSP_SCHEDULE_DELAY", doc, number(MILLIS)).or(5_000, table, diagnostics);
        let doc = "PEM file of the authorities to trust, as ca_file, which wins.";
        let authorities = variable("OTEL_EXPORTER_OTLP_CERTIFICATE", doc, path()).maybe(table, diagnostics).value();
        diagnostics.files.extend(authorities.clone());
        client.ca_file = client.ca_file.take().or(authorities);
        warn_of_protocol(table, diagnostics);
        Self {
            timeout: Duration::from_millis(own.value().unwrap_or(shared)),
            delay: Duration::from_millis(delay),
            sampler: sampler(table, diagnostics),
            resource: resource(table, diagnostics),
        }
    }
}

/// A collector has another port for the protocol that we do not speak: an operator who names that is told.
fn warn_of_protocol(table: &mut Table, diagnostics: &mut Diagnostics) {
    let mut asked = |name, doc| variable(name, doc, words("\"http/protobuf\"")).maybe(table, diagnostics).value();
    let shared = asked(PROTOCOL, "gatepost speaks http/protobuf; another warns.");
    let own = asked(TRACES_PROTOCOL, "The same for traces alone; wins.");
    let (name, protocol) = match (own, shared) {
        (Some(own), _) => (TRACES_PROTOCOL, own),
        (None, Some(shared)) => (PROTOCOL, shared),
        (None, None) => return,
    };
    if protocol != SPOKEN {
        diagnostics.warn(format!(
            "{name}: traces go as {SPOKEN}, not {protocol}: have the endpoint name the collector's HTTP port, mostly 4318"
        ));
    }
}

fn sampler(table: &mut Table, diagnostics: &mut Diagnostics) -> Sampler {
    let doc =
        "Which traces are recorded: those of parents that are (parentbased_…), and of the others all, none or a share.";
    let by_parent = rule(true, Share::All);
    let Rule { by_parent, share } = variable("OTEL_TRACES_SAMPLER", doc, SAMPLERS).or(by_parent, table, diagnostics);
    let doc = "That share.";
    let arg = variable("OTEL_TRACES_SAMPLER_ARG", doc, text(ratio, "a number from 0 to 1")).or(1.0, table, diagnostics);
    let ratio = match share {
        Share::All => 1.0,
        Share::None => 0.0,
        Share::Some => arg,
    };
    Sampler { by_parent, ratio }
}

fn ratio(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| format!("expected a number from 0 to 1, found {text:?}"))
}

/// Attributes, of which the service's name comes from its own variable, else from the list, else is ours.
fn resource(table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<(String, String)> {
    let doc = "What traces say of this program: name=value pairs separated by commas, values percent-encoded.";
    let kind = text(attributes, "name=value pairs separated by commas");
    let listed = variable("OTEL_RESOURCE_ATTRIBUTES", doc, kind).maybe(table, diagnostics);
    let mut resource = listed.value().map(|Attributes(listed)| listed).unwrap_or_default();
    let doc =
        "What traces call this program: service.name. Without it that of OTEL_RESOURCE_ATTRIBUTES, else gatepost.";
    let own = variable("OTEL_SERVICE_NAME", doc, words("a name")).maybe(table, diagnostics).value();
    let says = |resource: &[(String, String)], key: &str| resource.iter().any(|(name, _)| name == key);
    if own.is_some() || !says(&resource, "service.name") {
        resource.retain(|(key, _)| key != "service.name");
        resource.push(("service.name".to_owned(), own.unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())));
    }
    if !says(&resource, "service.version") {
        resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    }
    resource
}

struct Attributes(Vec<(String, String)>);

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&pairs.join(","))
    }
}

fn attributes(text: &str) -> Result<Attributes, String> {
    let wanted = "expected name=value pairs separated by commas, values percent-encoded";
    pairs::parse(text).map(Attributes).ok_or_else(|| wanted.to_owned())
}
