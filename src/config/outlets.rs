//! Where things go: `[[sink]]` and `[siem]`, and what the environment adds to them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::env::Outlets;
use super::leftover::{DEADLINES, Given, from_env, token};
use super::section::Section;
use super::{Siem, SiemFormat, syntax};
use crate::event::Name;
use crate::secret::Secret;
use crate::settings::SecretRef;
use crate::settings::{Diagnostics, Lookup, Raw};
use crate::sink::http_client::HttpClient;
use crate::sink::{self, Proxies};

/// The sink that `GATEPOST_FORWARD_URL` adds.
pub(super) const FORWARD: &str = "forward";

const CONCURRENCY: RangeInclusive<u64> = 1..=1024;
const ATTEMPTS: RangeInclusive<u64> = 1..=1000;
/// From a second to a year.
const AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(8760);

/// `[[sink]]` and `GATEPOST_FORWARD_URL`, faulty ones included: their faults are recorded, and sources may name them.
pub(super) fn sinks(root: &mut Section, env: &Outlets, diagnostics: &mut Diagnostics) -> Vec<sink::Settings> {
    let mut forward = forward(env, diagnostics);
    let mut sinks = Vec::<sink::Settings>::new();
    for mut section in root.tables("sink") {
        section.require("name", "is missing: every sink needs one of its own");
        let name = section.parse("name", syntax::name);
        if let Some(name) = name.as_ref().filter(|name| sinks.iter().any(|sink| sink.name == **name)) {
            section.fault("name", format!("another sink is called {name} too"));
        }
        let over = forward.take_if(|_| name.as_ref().is_some_and(|name| name.as_str() == FORWARD));
        let sink = sink(&mut section, name.unwrap_or_else(|| "?".into()), over.unwrap_or_default(), diagnostics);
        let prefix = section.at("");
        section.finish(&mut diagnostics.errors);
        judge(&sink, &|key| format!("{prefix}{key}"), diagnostics);
        sinks.push(sink);
    }
    if let Some(forward) = forward {
        sinks.extend(added(forward, diagnostics));
    }
    sinks
}

/// What the environment says about [`FORWARD`].
#[derive(Default)]
struct Forward {
    url: Option<String>,
    secret: Option<Secret>,
    /// Whether a secret was given at all, rightly or wrongly.
    keyed: bool,
}

fn forward(env: &Outlets, diagnostics: &mut Diagnostics) -> Option<Forward> {
    let url = from_env(diagnostics, "GATEPOST_FORWARD_URL", env.gatepost_forward_url.as_ref(), syntax::web_url);
    let mut keyed = true;
    let secret = match diagnostics.secret_variable("GATEPOST_FORWARD_SECRET") {
        Lookup::Found(mut raw) => {
            let secret = diagnostics.mac_key("GATEPOST_FORWARD_SECRET", &mut raw);
            diagnostics.origins.insert(format!("sink.{FORWARD}.secret"), raw.origin);
            secret
        }
        Lookup::Faulty => None,
        Lookup::Unset => {
            keyed = false;
            None
        }
    };
    (keyed || env.gatepost_forward_url.is_some()).then_some(Forward { url, secret, keyed })
}

/// The sink that the environment adds when the file has none of that name.
fn added(forward: Forward, diagnostics: &mut Diagnostics) -> Option<sink::Settings> {
    let Some(url) = forward.url else {
        let problem = "is not set, but GATEPOST_FORWARD_SECRET is: set both, or unset the secret";
        diagnostics.consequence("GATEPOST_FORWARD_URL".to_owned(), problem.to_owned());
        return None;
    };
    let proxies = of_variables(diagnostics);
    let sink = sink::Settings { secret: forward.secret, proxies, ..plain(FORWARD.into(), "http".to_owned(), url) };
    judge(&sink, &|key| variable_of(key).to_owned(), diagnostics);
    Some(sink)
}

/// A sink with every default.
fn plain(name: Name, kind: String, url: String) -> sink::Settings {
    sink::Settings {
        name,
        kind,
        url,
        secret: None,
        token: None,
        subject: None,
        ca_file: None,
        proxies: Proxies::default(),
        timeout: Duration::from_secs(10),
        concurrency: 16,
        max_attempts: 12,
        max_age: Duration::from_hours(72),
        event_types: Vec::new(),
    }
}

fn sink(section: &mut Section, name: Name, over: Forward, diagnostics: &mut Diagnostics) -> sink::Settings {
    section.require("type", "is missing: http, nats or sqs");
    if over.url.is_none() {
        section.require("url", "is missing");
    }
    let (kind, url) = (section.string("type").unwrap_or_default(), section.string("url"));
    let (secret, token) = (section.secret("secret"), section.secret("token"));
    let secret = if over.keyed {
        over.secret
    } else {
        resolved((section.at("secret"), format!("sink.{name}.secret")), secret, diagnostics, Diagnostics::mac_key)
    };
    let token = resolved((section.at("token"), format!("sink.{name}.token")), token, diagnostics, Diagnostics::token);
    let ca_file = section.path("ca_file");
    diagnostics.files.extend(ca_file.clone());
    let proxies = proxies(section, &format!("sink.{name}.proxy"), kind != "nats", diagnostics);
    let event_types = section.strings("event_types");
    if event_types.as_ref().is_some_and(|list| list.is_empty() || list.iter().any(String::is_empty)) {
        let advice = "name event types (exact, or prefix*), or leave the key out to take all";
        section.fault("event_types", format!("an empty list or entry takes nothing: {advice}"));
    }
    let attempts = section.number("max_attempts", &ATTEMPTS).and_then(|number| u32::try_from(number).ok());
    let base = plain(name, kind, over.url.or(url).unwrap_or_default());
    sink::Settings {
        secret,
        token,
        subject: section.string("subject"),
        ca_file,
        proxies,
        timeout: section.duration("timeout", &DEADLINES).unwrap_or(base.timeout),
        concurrency: section.size("concurrency", &CONCURRENCY).unwrap_or(base.concurrency),
        max_attempts: attempts.unwrap_or(base.max_attempts),
        max_age: section.duration("max_age", &AGES).unwrap_or(base.max_age),
        event_types: event_types.unwrap_or_default(),
        ..base
    }
}

/// Looks up the secret that stands at the first of `names` and is described under the second.
fn resolved<'v>(
    (at, label): (String, String),
    reference: Option<SecretRef>,
    diagnostics: &mut Diagnostics<'v>,
    take: fn(&mut Diagnostics<'v>, &str, &mut Raw) -> Option<Secret>,
) -> Option<Secret> {
    let mut raw = diagnostics.resolve(&at, reference?)?;
    let secret = take(diagnostics, &at, &mut raw)?;
    diagnostics.origins.insert(label, raw.origin);
    Some(secret)
}

/// What key `proxy` says, described as `label`, else the usual variables. Those are judged only where they are `used`.
fn proxies(section: &mut Section, label: &str, used: bool, diagnostics: &mut Diagnostics) -> Proxies {
    let at = section.at("proxy");
    if !section.holds("proxy") {
        return if used {
            of_variables(diagnostics)
        } else {
            Proxies::of_variables(|name| diagnostics.foreign_variable(name)).unwrap_or_default()
        };
    }
    let Some(reference) = section.secret_or_string("proxy") else { return Proxies::default() };
    let Some(raw) = diagnostics.resolve(&at, reference) else { return Proxies::default() };
    let text = str::from_utf8(&raw.bytes).map_err(|_| "expected text".to_owned());
    match text.and_then(Proxies::fixed) {
        Ok(proxies) => {
            diagnostics.origins.insert(label.to_owned(), raw.origin);
            proxies
        }
        Err(problem) => {
            diagnostics.error(at, problem);
            Proxies::default()
        }
    }
}

/// The proxies that the usual variables name.
fn of_variables(diagnostics: &mut Diagnostics) -> Proxies {
    Proxies::of_variables(|name| diagnostics.foreign_variable(name)).unwrap_or_else(|unusable| {
        for fault in unusable {
            diagnostics.error(fault.variable, fault.problem);
        }
        Proxies::default()
    })
}

/// Asks the family whether such a sink can be built, and warns about open wires. `place` names a key in faults.
fn judge(settings: &sink::Settings, place: &dyn Fn(&str) -> String, diagnostics: &mut Diagnostics) {
    if let Err(faults) = sink::build(settings) {
        for fault in faults {
            diagnostics.consequence(place(&fault.at), fault.problem);
        }
    }
    if let Some(proxy) = settings.ignored_proxy().filter(|_| !settings.proxies.is_fixed()) {
        let variable = proxy.origin;
        diagnostics
            .warn(format!("{}: NATS does not go through an HTTP proxy: {variable} is not used for it", place("url")));
    }
    if syntax::is_open_wire(&settings.url) {
        diagnostics.warn(format!("{}: events go to another machine over http://, readable on the way", place("url")));
    }
}

fn variable_of(key: &str) -> &'static str {
    if key.starts_with("secret") { "GATEPOST_FORWARD_SECRET" } else { "GATEPOST_FORWARD_URL" }
}

/// `[siem]`, `GATEPOST_SIEM_URL` and `GATEPOST_SIEM_TOKEN`.
pub(super) fn siem(file: &mut Section, env: &Outlets, diagnostics: &mut Diagnostics) -> Option<Siem> {
    let asked = ["token", "ca_file", "format", "proxy"].iter().any(|key| file.holds(key));
    let url_given = file.holds("url") || env.gatepost_siem_url.is_some();
    let from_file = file.parse("url", syntax::web_url);
    let url = from_env(diagnostics, "GATEPOST_SIEM_URL", env.gatepost_siem_url.as_ref(), syntax::web_url).or(from_file);
    let reference = file.secret("token");
    let given = token(&file.at("token"), "GATEPOST_SIEM_TOKEN", reference, diagnostics);
    if !url_given && (asked || !matches!(given, Given::No)) {
        file.fault("url", "is missing: set it in [siem], or set GATEPOST_SIEM_URL");
    }
    let ca_file = file.path("ca_file");
    diagnostics.files.extend(ca_file.clone());
    let format = file.parse("format", siem_format).unwrap_or_default();
    let proxies = proxies(file, "siem.proxy", url_given, diagnostics);
    let url = url?;
    // Built and let go again, so that `check` sees what would keep it from starting.
    if let Ok(uri) = url.parse()
        && let Err(fault) = HttpClient::new(&uri, ca_file.as_deref(), &proxies, Duration::ZERO, 1)
    {
        diagnostics.consequence(file.at(&fault.at), fault.problem);
    }
    if syntax::is_open_wire(&url) {
        diagnostics.warn("siem.url: audit records go to another machine over http://, readable on the way");
    }
    Some(Siem { url, token: given.token(), ca_file, proxies, format })
}

fn siem_format(text: &str) -> Result<SiemFormat, String> {
    match text {
        "json" => Ok(SiemFormat::Json),
        "ecs" => Ok(SiemFormat::Ecs),
        "splunk-hec" => Ok(SiemFormat::SplunkHec),
        _ => Err(format!("expected \"json\", \"ecs\" or \"splunk-hec\", found {text:?}")),
    }
}
