//! `[telemetry]`: where spans go, and what the standard variables say of them.

use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};

use super::pairs;
use super::variables::Standard;
use crate::secret::Secret;
use crate::settings::kind::text;
use crate::settings::{Diagnostics, Example, Found, Table, key, secret, secret_variable, variable};
use crate::sink::ClientSettings;
use crate::sink::address::{Endpoint, endpoint};
use crate::sink::http_client::HttpClient;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
/// Where a collector takes spans, below the endpoint that all signals share.
const PATH: &str = "v1/traces";

/// `[telemetry]`
#[derive(Clone)]
pub struct Settings {
    /// Where spans are sent with `POST`.
    pub(super) url: Uri,
    /// What goes with them: mostly what says who sends.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whom to trust, and which proxy is on the way.
    pub(super) client: ClientSettings,
    /// What else the variables say.
    pub(super) standard: Standard,
}

impl Settings {
    /// Reads `[telemetry]` and the variables. `None` where neither asks for traces.
    pub(crate) fn read(file: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut table = file.table("telemetry", diagnostics);
        let asked = ["otlp_headers", "ca_file", "proxy"].into_iter().find(|key| table.holds(key));
        let (url, at) = url(&mut table, diagnostics);
        if is_off(&mut table, diagnostics) {
            return None;
        }
        if matches!(url, Found::Unset) {
            if let Some(asked) = asked {
                let problem = format!("is missing: {asked} is set; set it in [telemetry], or set {ENDPOINT}");
                table.error("otlp_endpoint", problem, diagnostics);
                table.forgive();
            }
            // What it holds besides is unknown, and without an endpoint there is nothing to show.
            if !table.is_empty() {
                table.finish(diagnostics);
            }
            return None;
        }
        let settings = Self::rest(url.value(), &at, &mut table, diagnostics);
        table.finish(diagnostics);
        settings
    }

    /// Asks for every key, so that they are recorded.
    pub(crate) fn declare(diagnostics: &mut Diagnostics) {
        let mut table = Table::new("[telemetry]", "telemetry", toml::Table::new());
        let (url, at) = url(&mut table, diagnostics);
        Self::rest(url.value(), &at, &mut table, diagnostics);
        is_off(&mut table, diagnostics);
        table.finish(diagnostics);
    }

    /// What is asked where there are traces.
    fn rest(url: Option<Endpoint>, at: &str, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let headers = headers(table, diagnostics);
        let mut client = ClientSettings::read(url.as_ref(), url.is_some(), table, diagnostics);
        let standard = Standard::read(&mut client, table, diagnostics);
        let url = url?;
        // Built and let go again, so that whoever only reads is told what would keep it from starting.
        if let Err(error) = HttpClient::new(url.uri(), &client, Duration::ZERO, 1) {
            diagnostics.consequence(table.place(&error.at), error.problem);
        }
        client.warn_if_unused(&url, table, diagnostics);
        url.warn_if_open("traces", at, diagnostics);
        Some(Self { url: url.uri().clone(), headers, client, standard })
    }
}

/// Where spans go, and who says so.
fn url(table: &mut Table, diagnostics: &mut Diagnostics) -> (Found<Endpoint>, String) {
    let doc = "The OTLP/HTTP endpoint of a collector: spans of requests and of attempts at deliveries go to /v1/traces below \
        it. Unset: none are made.";
    let base = key("otlp_endpoint", doc, endpoint())
        .variable(ENDPOINT)
        .example(Example::Off("\"http://collector:4318\""))
        .maybe(table, diagnostics);
    let doc = "The whole URL that spans are sent to; wins over the endpoint that all signals share.";
    let whole = variable(TRACES_ENDPOINT, doc, endpoint()).maybe(table, diagnostics);
    match (whole, base) {
        (Found::Unset, Found::Value(base)) => (Found::Value(below(&base)), table.place("otlp_endpoint")),
        (Found::Unset, base) => (base, table.place("otlp_endpoint")),
        (whole, _) => (whole, TRACES_ENDPOINT.to_owned()),
    }
}

/// The address for spans below `base`, whose query goes along.
fn below(base: &Endpoint) -> Endpoint {
    let mut parts = base.uri().clone().into_parts();
    let slash = if base.uri().path().ends_with('/') { "" } else { "/" };
    let query = base.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{slash}{PATH}{query}", base.uri().path());
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    // What is appended keeps a URL one.
    let whole = Uri::from_parts(parts).ok().and_then(|uri| Endpoint::parse(&uri.to_string()).ok());
    whole.unwrap_or_else(|| base.clone())
}

/// Whether the variables switch traces off, whatever else is said.
fn is_off(table: &mut Table, diagnostics: &mut Diagnostics) -> bool {
    let word = |text: &str| Ok::<_, String>(text.to_ascii_lowercase());
    let doc = "\"true\": no traces, whatever else is said.";
    let disabled = variable("OTEL_SDK_DISABLED", doc, text(word, "\"true\", or anything else"));
    let doc = "\"none\": no traces, whatever else is said. Every other word means OTLP.";
    let exporter = variable("OTEL_TRACES_EXPORTER", doc, text(word, "\"none\" or \"otlp\""));
    let says = |found: Found<String>, word: &str| found.value().is_some_and(|said| said == word);
    let disabled = says(disabled.maybe(table, diagnostics), "true");
    says(exporter.maybe(table, diagnostics), "none") || disabled
}

/// What goes with every request: of the key and its variable, unless there is one for traces alone.
fn headers(table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<(HeaderName, HeaderValue)> {
    let doc = "Headers that go with spans: name=value pairs separated by commas, values percent-encoded, such as \
        \"api-key=…\".";
    let shared = secret("otlp_headers", doc)
        .variable("OTEL_EXPORTER_OTLP_HEADERS")
        .example(Example::Off("{ file = \"/run/secrets/otlp-headers\" }"))
        .token(table, diagnostics);
    let doc = "The same for traces alone; wins over the headers that all signals share.";
    let own = secret_variable(TRACES_HEADERS, doc).token(table, diagnostics);
    let (found, at) = if matches!(own, Found::Unset) {
        (shared, table.place("otlp_headers"))
    } else {
        (own, TRACES_HEADERS.to_owned())
    };
    let parsed = found.value().map(|secret| parsed(&secret)).transpose();
    parsed.map_err(|problem| diagnostics.error(at, problem)).ok().flatten().unwrap_or_default()
}

fn parsed(secret: &Secret) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let wrong = || "expected name=value pairs separated by commas, values percent-encoded".to_owned();
    let text = str::from_utf8(secret.expose()).map_err(|_| wrong())?;
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value))
    };
    pairs::parse(text).ok_or_else(wrong)?.into_iter().map(header).collect()
}

#[cfg(test)]
mod tests;
