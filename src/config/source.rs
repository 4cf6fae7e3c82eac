//! One source: a preset's row with the operator's keys laid over it, from the file or from the environment.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::enabled::Material;
use super::leftover::BODY_BYTES;
use super::section::{Section, Strings};
use super::{IdRule, Limits, Source, TypeRule, material, syntax};
use crate::event::Name;
use crate::scheme::{self, BodyFormat, Preset};
use crate::server::networks::Networks;
use crate::settings::Diagnostics;
use crate::settings::duration;
use crate::sink;

/// The window: whole seconds, both directions.
pub(super) const DRIFT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(15);

/// What a source has that does not say otherwise.
pub(super) struct Defaults<'a> {
    /// `GATEPOST_ALLOWED_IPS`
    pub allowed_ips: AllowedIps,
    /// `GATEPOST_MAX_DRIFT_SECONDS`, or 300 s.
    pub max_drift: Duration,
    /// `[limits]`
    pub limits: &'a Limits,
    /// Every sink there is.
    pub sinks: &'a [sink::Settings],
    /// The sink that gets the events of every source, whatever sinks that names.
    pub always: Option<Name>,
}

/// What `GATEPOST_ALLOWED_IPS` says.
#[derive(Clone)]
pub(super) enum AllowedIps {
    /// Nothing.
    Unset,
    /// Nothing that can be read; the fault is recorded.
    Faulty,
    /// This.
    Set(Networks),
}

/// How faults about a source are named: by its place in the file, by its variables, or by either.
pub(super) struct Place {
    /// `source[1].`, where it stands in the file.
    pub file: Option<String>,
    /// The variable that enables it or replaces its secrets.
    pub variable: Option<&'static str>,
}

impl Place {
    /// What to call `key` in a fault.
    pub(super) fn at(&self, key: &str) -> String {
        let root = key.split(['[', '.']).next().unwrap_or(key);
        match (self.variable, &self.file) {
            (Some(variable), _) if ["secrets", "keys", "region"].contains(&root) => match root {
                "region" => "CXONE_AWS_REGION".to_owned(),
                "keys" if key.ends_with("secret") => "CXONE_AWS_SECRET_KEY".to_owned(),
                "keys" => "CXONE_AWS_ACCESS_KEY".to_owned(),
                _ if variable.ends_with('S') => key.replacen("secrets", variable, 1),
                _ => variable.to_owned(),
            },
            (_, Some(file)) => format!("{file}{key}"),
            (variable, None) => match root {
                "service" => "CXONE_AWS_SERVICE",
                "allowed_ips" => "GATEPOST_ALLOWED_IPS",
                "max_drift" => "GATEPOST_MAX_DRIFT_SECONDS",
                "body_bytes" => "WEBHOOK_MAX_BYTES",
                _ => variable.unwrap_or(key),
            }
            .to_owned(),
        }
    }
}

/// Reads the source called `name` from `section`, over `preset`, with `over` replacing its key material.
pub(super) fn overlay(
    section: &mut Section,
    (name, preset): (Name, &'static Preset),
    over: Option<Material>,
    defaults: &Defaults,
    diagnostics: &mut Diagnostics,
    place: &Place,
) -> Source {
    if preset.path.is_none() {
        section.require("path", &spelled_out(preset));
    }
    let windowed = section.holds("max_drift");
    let drift = section.parse("max_drift", drift);
    let scheme = material::settings(section, preset, &name, over, diagnostics);
    if windowed && !scheme::has_timestamp(&scheme) {
        section.fault(
            "max_drift",
            "this source has no timestamp to hold against a window: remove it, or add timestamp_header",
        );
    }
    let allowed_ips = allowed_ips(section, defaults, diagnostics, place);
    if allowed_ips == Networks::Any {
        diagnostics.warn(format!("source {name}: allowed_ips is `any`: requests are taken from every address"));
    }
    let (event_id, event_type) = rules(section, preset);
    let path = section.parse("path", syntax::path).or(preset.path.map(str::to_owned));
    let body_bytes = section.size("body_bytes", &BODY_BYTES);
    if body_bytes.is_some_and(|bytes| bytes > defaults.limits.body_memory_bytes) {
        section.fault("body_bytes", "is more than limits.body_memory_bytes, so that the largest bodies never fit");
    }
    let (required_fields, content_types) = (required_fields(section, preset), content_types(section, preset));
    Source {
        path: path.unwrap_or_default(),
        allowed_ips,
        body_bytes: body_bytes.unwrap_or(defaults.limits.body_bytes),
        max_drift: drift.unwrap_or(defaults.max_drift),
        event_id,
        event_type,
        required_fields,
        content_types,
        body_format: section.parse("body_format", body_format).unwrap_or(preset.body_format),
        stale_status: stale_status(section).unwrap_or(preset.stale_status),
        sinks: sinks(section, defaults),
        twins: Arc::from([]),
        scheme,
        name,
        preset,
    }
}

/// Asks the family whether such a scheme can be built, and whether it vouches for the header that ids come from.
pub(super) fn judge(source: &Source, place: &Place, diagnostics: &mut Diagnostics) {
    match scheme::build(&source.scheme) {
        Err(faults) => {
            let told = diagnostics.errors.len();
            for fault in faults {
                // A faulty entry is missing from its list, so that positions in it say nothing any more.
                let root = fault.at.split(['[', '.']).next().unwrap_or(&fault.at);
                if !diagnostics.told(&place.at(root), told) {
                    diagnostics.error(place.at(&fault.at), fault.problem);
                }
            }
        }
        Ok(scheme) => {
            for warning in scheme::warnings(&source.scheme) {
                diagnostics.warn(format!("source {}: {warning}", source.name));
            }
            if let IdRule::Header(header) = source.event_id.clone()
                && !scheme.covers_header(&header)
            {
                let why = "anybody with one captured request could forge or poison ids";
                let problem = format!(
                    "the signature does not cover the header {header}: {why}; use \"digest\" or a JSON pointer"
                );
                diagnostics.consequence(place.at("event_id"), problem);
            }
        }
    }
}

/// What is missing from a source whose preset has no default.
pub(super) fn spelled_out(preset: &Preset) -> String {
    format!("is missing: preset {} has no default for it", preset.name)
}

fn drift(text: &str) -> Result<Duration, String> {
    let drift = duration::parse_within(text, &DRIFT)?;
    if drift.subsec_nanos() == 0 { Ok(drift) } else { Err(format!("expected whole seconds, found {text:?}")) }
}

fn allowed_ips(section: &mut Section, defaults: &Defaults, diagnostics: &mut Diagnostics, place: &Place) -> Networks {
    let nobody = Networks::List(Vec::new());
    let given = section.holds("allowed_ips");
    match (section.strings_or_word("allowed_ips", "any"), &defaults.allowed_ips) {
        (Some(Strings::Word), _) => Networks::Any,
        (Some(Strings::List(list)), _) => networks(list.iter().map(String::as_str)).unwrap_or_else(|problems| {
            for problem in problems {
                section.fault("allowed_ips", problem);
            }
            nobody
        }),
        (None, AllowedIps::Set(networks)) if !given => networks.clone(),
        (None, AllowedIps::Unset) if !given => {
            let problem = "is missing: name who may send, in allowed_ips of the source or in GATEPOST_ALLOWED_IPS (addresses and CIDRs, or `any`)";
            diagnostics.consequence(place.at("allowed_ips"), problem.to_owned());
            nobody
        }
        (None, _) => nobody,
    }
}

/// Reads an allowlist that must let somebody in.
pub(super) fn networks<'a>(list: impl Iterator<Item = &'a str> + Clone) -> Result<Networks, Vec<String>> {
    if list.clone().next().is_none() {
        return Err(vec![
            "is empty, which lets nobody in: name addresses and CIDRs, or use the single word `any`".to_owned(),
        ]);
    }
    if list.clone().any(|entry| entry == "any") {
        return Err(vec!["`any` stands alone, not in a list".to_owned()]);
    }
    Networks::parse(list)
}

fn rules(section: &mut Section, preset: &Preset) -> (IdRule, TypeRule) {
    if preset.event_id.is_none() {
        section.require("event_id", &format!("{}; \"digest\" will do", spelled_out(preset)));
    }
    let id = section.parse("event_id", syntax::id_rule);
    let id = id.or_else(|| preset.event_id.and_then(|rule| syntax::id_rule(rule).ok()));
    let kind = section.parse("event_type", syntax::type_rule);
    let kind = kind.or_else(|| preset.event_type.and_then(|rule| syntax::type_rule(rule).ok()));
    (id.unwrap_or(IdRule::Digest), kind.unwrap_or_else(|| TypeRule::Literal(preset.name.to_owned())))
}

fn required_fields(section: &mut Section, preset: &Preset) -> Vec<String> {
    let defaults = || preset.required_fields.iter().map(|field| (*field).to_owned()).collect();
    section.parse_list("required_fields", syntax::pointer).unwrap_or_else(defaults)
}

fn content_types(section: &mut Section, preset: &Preset) -> Vec<String> {
    let types = section.parse_list("content_types", syntax::media_type);
    if types.as_ref().is_some_and(Vec::is_empty) {
        section.fault("content_types", "is empty, so that nothing would be taken: name at least one");
    }
    types.unwrap_or_else(|| preset.content_types.iter().map(|kind| (*kind).to_owned()).collect())
}

fn body_format(text: &str) -> Result<BodyFormat, String> {
    match text {
        "json" => Ok(BodyFormat::Json),
        "any" => Ok(BodyFormat::Any),
        _ => Err(format!("expected \"json\" or \"any\", found {text:?}")),
    }
}

fn stale_status(section: &mut Section) -> Option<u16> {
    let status = section.number("stale_status", &(100..=599))?;
    match status {
        401 => Some(401),
        410 => Some(410),
        _ => {
            section.fault("stale_status", format!("expected 401 or 410, found {status}"));
            None
        }
    }
}

fn sinks(section: &mut Section, defaults: &Defaults) -> Vec<Name> {
    let names = || defaults.sinks.iter().map(|sink| sink.name.clone());
    let known = |text: &str| {
        names().find(|name| name.as_str() == text).ok_or_else(|| {
            let all: Vec<String> = names().map(|name| name.to_string()).collect();
            let all =
                if all.is_empty() { "there are none".to_owned() } else { format!("there are: {}", all.join(", ")) };
            format!("no [[sink]] is called {text:?} ({all})")
        })
    };
    let Some(mut chosen) = section.parse_list("sinks", known) else { return names().collect() };
    chosen.extend(defaults.always.clone());
    // A name given twice must not deliver twice.
    chosen.sort();
    chosen.dedup();
    chosen
}
