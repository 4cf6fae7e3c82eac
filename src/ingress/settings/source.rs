//! One source: a preset's row with the operator's keys laid over it, from the file or made by variables.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::defaults::{ALLOWED_IPS, DRIFT, Defaults, MAX_DRIFT};
use super::handshake;
use super::keep_headers;
use super::kinds::{AllowedIps, PresetName, SinkNames, StaleStatus};
use super::pins::Pins;
use super::rules::path;
use super::{CertificatePin, IdRule, SourceSettings, TypeRule};
use crate::event::Name;
use crate::scheme::{self, BodyFormat, Preset, preset};
use crate::server::networks::Networks;
use crate::settings::kind::{choice, size, span, text};
use crate::settings::lists::list;
use crate::settings::{Diagnostics, Example, Found, Table, grammar, key};

/// Bodies: at least one byte, at most 1 GiB.
const BODY_BYTES: RangeInclusive<u64> = 1..=1 << 30;
/// The key that pins stand in.
/// From where its events come.
pub(super) const ALLOWED_IPS_KEY: &str = "allowed_ips";
/// Whose certificates it takes.
pub(super) const CLIENT_CERTIFICATES: &str = "client_certificates";
/// What stands over a source in the file.
pub(super) const TITLE: &str = "[[source]]";

/// A source as it was read, and how it is named in errors.
pub(super) struct Read {
    /// It.
    pub(super) source: SourceSettings,
    /// Where its name stands.
    pub(super) name_at: String,
    /// Where its path stands.
    pub(super) path_at: String,
    /// The variable that makes it or replaces its secrets.
    pub(super) variable: Option<&'static str>,
}

/// Who a source is.
struct Who {
    name: Option<Name>,
    preset: &'static Preset,
}

/// Reads a table of the file, or, where variables make a source of preset `made`, the empty one that they make.
/// `None` where nobody can tell what it is.
pub(super) fn read(
    mut table: Table,
    made: Option<&'static Preset>,
    defaults: &Defaults<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Read> {
    if made.is_some() {
        // What a source lacks that variables make is said by another one.
        table.comes_from(ALLOWED_IPS_KEY, ALLOWED_IPS);
        table.comes_from("max_drift", MAX_DRIFT);
    }
    let Some(who) = Who::read(made, &mut table, diagnostics) else {
        table.forgive();
        table.finish(diagnostics);
        return None;
    };
    let variable = who.variable(&table, diagnostics);
    let source = settings(who, defaults, &mut table, diagnostics);
    check_proof(&source, &table, diagnostics);
    let (name_at, path_at) = (table.place("name"), table.place("path"));
    table.finish(diagnostics);
    Some(Read { source, name_at, path_at, variable })
}

impl Who {
    fn read(made: Option<&'static Preset>, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let name = key(
            "name",
            "Unique; 1 to 40 of a-z, 0-9 and -, and not \"none\". It labels logs and metrics and begins every \
             event's id. Where it is the name of a source that variables enable, their secrets replace those here.",
            text(grammar::name, "1 to 40 of a-z, 0-9 and -"),
        )
        .or_required(
            made.map(|preset| Name::from(preset.name)),
            "is missing: every source needs one of its own",
            table,
            diagnostics,
        );
        let problem = format!("is missing: one of {}", PresetName::all());
        let preset =
            key("preset", "What the defaults come from. Every value of the preset can be overridden here.", PresetName)
                .or_required(made, &problem, table, diagnostics)?;
        if let Some(name) = &name {
            table.is_called(name.as_str());
        }
        Some(Self { name, preset })
    }

    /// The variable that makes it or replaces its secrets; an error where that cannot be.
    fn variable(&self, table: &Table, diagnostics: &mut Diagnostics) -> Option<&'static str> {
        let namesake = preset(self.name.as_ref()?.as_str())?;
        let variable = namesake.scheme.enabled_by(diagnostics)?;
        if namesake.scheme.scheme() == self.preset.scheme.scheme() {
            return Some(variable);
        }
        let problem = format!(
            "{variable} is set for a source of this name, but not for preset {}: call it something else",
            self.preset.name
        );
        table.error("name", problem, diagnostics);
        None
    }

    fn no_default(&self) -> String {
        format!("is missing: preset {} has no default for it", self.preset.name)
    }
}

fn settings(who: Who, defaults: &Defaults<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> SourceSettings {
    let preset = who.preset;
    let path = key("path", "Matched byte for byte; no wildcards. Unique.", text(path, "an absolute path"));
    let path = path.or_required(preset.path.map(str::to_owned), &who.no_default(), table, diagnostics);
    let allowed_ips = allowed_ips(defaults, table, diagnostics);
    let pinned = table.holds(CLIENT_CERTIFICATES);
    let client_certificates = client_certificates(defaults, table, diagnostics);
    let body_bytes = body_bytes(defaults, table, diagnostics);
    let windowed = table.holds("max_drift");
    let max_drift = max_drift(defaults, table, diagnostics);
    let event_id = event_id(&who, table, diagnostics);
    let event_type = event_type(preset, table, diagnostics);
    let keep_headers = keep_headers::read(preset, table, diagnostics);
    let required_fields = required_fields(preset, table, diagnostics);
    let content_types = content_types(preset, table, diagnostics);
    let formats: &[(&str, BodyFormat)] = &[("json", BodyFormat::Json), ("any", BodyFormat::Any)];
    let body_format = key("body_format", "\"json\" is one JSON object.", choice(formats));
    let body_format = body_format.or(preset.body_format, table, diagnostics);
    let stale_status = key("stale_status", "How a request outside the window is answered.", StaleStatus);
    let stale_status = stale_status.or(preset.stale_status, table, diagnostics);
    let handshake = handshake::read(preset, table, diagnostics);
    let sinks = sinks(defaults, table, diagnostics);
    let scheme = scheme::read(preset, who.name.as_ref().map(Name::as_str), table, diagnostics);
    keep_headers::check(&keep_headers, scheme.as_ref(), table, diagnostics);
    if !scheme.proves_sender() && !pinned {
        let why = "is missing: nothing else proves who sends; name certificates, [{ san = \"dns:sender.example\" }]";
        table.error(CLIENT_CERTIFICATES, why, diagnostics);
    }
    if !scheme.uses_drift() {
        if windowed {
            let why = "this source has no timestamp to hold against a window: remove it, or add timestamp_header";
            table.error("max_drift", why, diagnostics);
        }
        table.hide("max_drift");
    }
    if !scheme.has_timestamp() {
        table.hide("stale_status");
    }
    SourceSettings {
        name: who.name.unwrap_or_else(|| Name::from("?")),
        preset,
        path: path.unwrap_or_default(),
        allowed_ips,
        client_certificates,
        body_bytes,
        max_drift,
        event_id,
        event_type,
        keep_headers,
        required_fields,
        content_types,
        body_format,
        stale_status,
        handshake,
        sinks,
        scheme,
        twins: Arc::from([]),
    }
}

/// The pins; an error where the listener sees no certificate to hold against them.
fn client_certificates(
    defaults: &Defaults<'_>,
    table: &mut Table,
    diagnostics: &mut Diagnostics,
) -> Vec<CertificatePin> {
    let doc = "Whose client certificates are taken, any number; everybody else is refused, whatever else is right. \
               spki_sha256 is the SHA-256 of the certificate's public key (it stays when the certificate is renewed with \
               the same key), san one of its subject alternative names, \"dns:…\", \"uri:…\" or \"email:…\", exactly as it \
               stands there. Needs tls.client_ca_file.";
    let pins = key(CLIENT_CERTIFICATES, doc, Pins).example(Example::Off("[{ san = \"dns:sender.example\" }]"));
    let pins = pins.maybe(table, diagnostics).value().unwrap_or_default();
    if let Some(why) = defaults.no_certificates.filter(|_| !pins.is_empty()) {
        table.error(CLIENT_CERTIFICATES, why, diagnostics);
    }
    pins
}

fn max_drift(defaults: &Defaults<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> Duration {
    let doc = "How far the timestamp may be off, both directions; for the times in a JSON Web Token the leeway. An error \
               on a source that has neither.";
    let default = "variable GATEPOST_MAX_DRIFT_SECONDS, else \"300s\"";
    let max_drift = key("max_drift", doc, span(DRIFT).whole_seconds());
    max_drift.or_else(defaults.max_drift, default, table, diagnostics)
}

fn required_fields(preset: &Preset, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<String> {
    let doc = "JSON pointers that must hold something, any number.";
    let fields = key("required_fields", doc, list(text(grammar::pointer, "a JSON pointer")));
    fields.or(owned(preset.required_fields), table, diagnostics)
}

fn content_types(preset: &Preset, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<String> {
    let types = list(text(grammar::media_type, "a media type"));
    let types = types.not_empty("is empty, so that nothing would be taken: name at least one");
    let types = key("content_types", "Media types taken, without parameters.", types);
    types.or(owned(preset.content_types), table, diagnostics)
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn sinks(defaults: &Defaults<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<Name> {
    let names = SinkNames { known: defaults.sinks, always: defaults.always };
    let sinks = key("sinks", "Which sinks get its events, by name. [] stores and logs only.", names);
    sinks.or_else(defaults.sinks.to_vec(), "all of them", table, diagnostics)
}

fn allowed_ips(defaults: &Defaults<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> Networks {
    let key = key(
        ALLOWED_IPS_KEY,
        "Addresses and CIDRs that may send, or the single word \"any\" (which warns). Variable GATEPOST_ALLOWED_IPS \
         says it for every source that does not.",
        AllowedIps,
    );
    let nobody = || Networks::List(Vec::new());
    match &defaults.allowed_ips {
        Found::Value(networks) => key.or_else(networks.clone(), "variable GATEPOST_ALLOWED_IPS", table, diagnostics),
        Found::Faulty => key.maybe(table, diagnostics).value().unwrap_or_else(nobody),
        Found::Unset => {
            let problem = "is missing: name who may send, in allowed_ips of the source or in GATEPOST_ALLOWED_IPS \
                           (addresses and CIDRs, or `any`)";
            key.required(problem, table, diagnostics).unwrap_or_else(nobody)
        }
    }
}

fn body_bytes(defaults: &Defaults<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> usize {
    let given = table.holds("body_bytes");
    let bytes = key("body_bytes", "Largest body in bytes.", size(BODY_BYTES)).or_else(
        defaults.body_bytes,
        "limits.body_bytes",
        table,
        diagnostics,
    );
    if given && bytes > defaults.body_memory_bytes {
        let problem = "is more than limits.body_memory_bytes, so that the largest bodies never fit";
        table.error("body_bytes", problem, diagnostics);
    }
    bytes
}

fn event_id(who: &Who, table: &mut Table, diagnostics: &mut Diagnostics) -> IdRule {
    let default = who.preset.event_id.and_then(|rule| IdRule::parse(rule).ok());
    let problem = format!("{}; \"digest\" will do", who.no_default());
    key(
        "event_id",
        "Where the event's id comes from, by which it counts once: a JSON pointer, \"header:NAME\" (only where the \
         signature covers it; it stands once, without blanks around it or doubled within), \"claim:NAME\" (of a JSON \
         Web Token, where the source wants one), \"signed\" (SHA-256 over all that the signature covers, its \
         timestamp included: for senders that send equal bodies on purpose and do not sign their retries anew), or \
         \"digest\" (SHA-256 of the body).",
        text(IdRule::parse, "a JSON pointer, \"header:NAME\", \"claim:NAME\", \"signed\" or \"digest\""),
    )
    .or_required(default, &problem, table, diagnostics)
    .unwrap_or(IdRule::Digest)
}

fn event_type(preset: &Preset, table: &mut Table, diagnostics: &mut Diagnostics) -> TypeRule {
    key(
        "event_type",
        "Where the event's type comes from: a JSON pointer, \"header:NAME\" (which warns where a signature does not cover \
         it), or the type itself. The preset's name where that finds nothing that can be a type.",
        text(TypeRule::parse, "a JSON pointer, \"header:NAME\" or a type"),
    )
    .or(type_of(preset), table, diagnostics)
}

/// Where the type comes from unless the operator says otherwise.
fn type_of(preset: &Preset) -> TypeRule {
    let rule = preset.event_type.and_then(|rule| TypeRule::parse(rule).ok());
    rule.unwrap_or_else(|| TypeRule::Literal(preset.name.to_owned()))
}

/// Whether what verifies it vouches for the headers that ids and types come from; what is worth a word.
fn check_proof(source: &SourceSettings, table: &Table, diagnostics: &mut Diagnostics) {
    if source.allowed_ips == Networks::Any {
        let name = &source.name;
        diagnostics.warn(format!("source {name}: allowed_ips is `any`: requests are taken from every address"));
    }
    // What keeps it from being built is told by whoever read it.
    let Ok(scheme) = source.scheme.build() else { return };
    handshake::check(source.handshake.as_ref(), &*scheme, table, diagnostics);
    let alone = source.allowed_ips == Networks::Any && source.client_certificates.is_empty();
    if source.scheme.proves_only_the_sender() && alone {
        diagnostics.warn(format!(
            "source {}: a token alone proves only that the sender knows it, not that the body is the sender's or new: \
             {}",
            source.name,
            if source.scheme.has_claims() { "set body_hash, or narrow allowed_ips" } else { "narrow allowed_ips" }
        ));
    }
    for warning in source.scheme.warnings() {
        diagnostics.warn(format!("source {}: {warning}", source.name));
    }
    if source.event_id == IdRule::Signed && !source.scheme.signs() {
        let problem = "is \"signed\", but nothing is signed here; use \"digest\" or a JSON pointer";
        diagnostics.consequence(table.place("event_id"), problem);
    }
    if matches!(source.event_id, IdRule::Claim(_)) && !source.scheme.has_claims() {
        let problem = "this source wants no JSON Web Token that could claim an id: use \"digest\" or a JSON pointer";
        diagnostics.consequence(table.place("event_id"), problem);
    }
    if let IdRule::Header(header) = &source.event_id
        && !scheme.covers_header(header)
    {
        let why = "anybody with one captured request could forge or poison ids";
        let problem =
            format!("the signature does not cover the header {header}: {why}; use \"digest\" or a JSON pointer");
        diagnostics.consequence(table.place("event_id"), problem);
    }
    // A preset that says so has weighed it: its vendor tells the type nowhere else.
    if let TypeRule::Header(header) = &source.event_type
        && source.event_type != type_of(source.preset)
        && !scheme.covers_header(header)
    {
        diagnostics.warn(format!(
            "source {}: event_type is the header {header}, which the signature does not cover: whoever replays a \
             captured request within the window could change the type",
            source.name
        ));
    }
}
