//! All sources together: those of the file, those of the environment, and what must hold between them.

use std::time::Duration;

use toml::Table;

use super::enabled::{self, Enabled};
use super::env::Environment;
use super::leftover::{from_env, plain};
use super::section::Section;
use super::source::{self, AllowedIps, Defaults, Place};
use super::{Limits, Source, syntax};
use crate::event::Name;
use crate::scheme::{self, PRESETS, Preset, preset};
use crate::server::networks::Networks;
use crate::settings::Diagnostics;
use crate::sink;

/// Every source, in the order of the file and then of the documentation.
pub(super) fn sources(
    root: &mut Section,
    env: &Environment,
    limits: &Limits,
    sinks: &[sink::Settings],
    diagnostics: &mut Diagnostics,
) -> Vec<Source> {
    let defaults = defaults(env, limits, sinks, diagnostics);
    let mut enabled = enabled::sources(&env.cxone, diagnostics);
    let service = env.cxone.cxone_aws_service.as_deref();
    let mut all = All { sources: Vec::new(), places: Vec::new() };
    let sections = root.tables("source");
    let none = sections.is_empty() && enabled.is_empty() && !root.faulted("source");
    for section in sections {
        from_file(section, &mut enabled, service, &defaults, &mut all, diagnostics);
    }
    for enabled in enabled {
        let place = Place { file: None, variable: Some(enabled.variable) };
        let mut section = Section::new(enabled.variable, Table::new());
        let identity = (Name::from(enabled.preset.name), enabled.preset);
        let source = source::overlay(&mut section, identity, Some(enabled.material), &defaults, diagnostics, &place);
        section.finish(&mut diagnostics.errors);
        all.add(source, service, place, diagnostics);
    }
    if none {
        let variables = "CXONE_AWS_ACCESS_KEY with its companions, COGNIGY_WEBHOOK_SECRETS, NICE_WEBHOOK_SECRETS or CXONE_EXPERT_WEBHOOK_SECRETS";
        diagnostics.error("source", format!("there is no source: add a [[source]] to the file, or set {variables}"));
    }
    warn_about_service(service, &all.sources, diagnostics);
    warn_about_window(env, &all.sources, diagnostics);
    let twins = twins(&all.sources);
    warn_about_shared_secrets(&all, &twins, diagnostics);
    for (source, twins) in all.sources.iter_mut().zip(twins) {
        source.twins = twins.into();
    }
    all.sources
}

/// For each source those that accept the same signatures of the same bodies, however old they are.
fn twins(sources: &[Source]) -> Vec<Vec<Source>> {
    let marks: Vec<_> = sources.iter().map(|source| scheme::body_marks(&source.scheme)).collect();
    let alike = |one: usize, other: usize| one != other && marks[one].iter().any(|mark| marks[other].contains(mark));
    let of = |one: usize| sources.iter().enumerate().filter(move |(other, _)| alike(one, *other));
    (0..sources.len()).map(|one| of(one).map(|(_, twin)| twin.clone()).collect()).collect()
}

/// The sources so far, and how each is named in faults.
struct All {
    sources: Vec<Source>,
    places: Vec<Place>,
}

impl All {
    fn add(&mut self, mut source: Source, service: Option<&str>, place: Place, diagnostics: &mut Diagnostics) {
        if source.name.as_str() == "cxone" && source.scheme.service.is_some() {
            source.scheme.service = service.map(str::to_owned).or(source.scheme.service);
        }
        source::judge(&source, &place, diagnostics);
        for other in &self.sources {
            if other.name == source.name {
                diagnostics.error(place.at("name"), format!("another source is called {} too", source.name));
            }
            if other.path == source.path && !source.path.is_empty() {
                let problem = format!(
                    "{} is the path of source {} already; sources need paths of their own",
                    source.path, other.name
                );
                diagnostics.error(place.at("path"), problem);
            }
        }
        self.sources.push(source);
        self.places.push(place);
    }
}

fn from_file(
    mut section: Section,
    enabled: &mut Vec<Enabled>,
    service: Option<&str>,
    defaults: &Defaults,
    all: &mut All,
    diagnostics: &mut Diagnostics,
) {
    section.require("name", "is missing: every source needs one of its own");
    section.require("preset", &format!("is missing: one of {}", preset_names()));
    let name = section.parse("name", syntax::name);
    let Some(preset) = section.parse("preset", known_preset) else {
        section.forgive();
        return section.finish(&mut diagnostics.errors);
    };
    let same =
        enabled.iter().position(|enabled| name.as_ref().is_some_and(|name| name.as_str() == enabled.preset.name));
    let mut over = same.map(|index| enabled.remove(index));
    if let Some(enabled) = over.take_if(|enabled| enabled.preset.family != preset.family) {
        let problem = format!(
            "{} is set for a source of this name, but not for preset {}: call it something else",
            enabled.variable, preset.name
        );
        section.fault("name", problem);
    }
    let place = Place { file: Some(section.at("")), variable: over.as_ref().map(|enabled| enabled.variable) };
    let identity = (name.unwrap_or_else(|| Name::from("?")), preset);
    let source =
        source::overlay(&mut section, identity, over.map(|enabled| enabled.material), defaults, diagnostics, &place);
    section.finish(&mut diagnostics.errors);
    all.add(source, service, place, diagnostics);
}

fn known_preset(text: &str) -> Result<&'static Preset, String> {
    preset(text).ok_or_else(|| format!("expected one of {}, found {text:?}", preset_names()))
}

fn preset_names() -> String {
    PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

fn defaults<'a>(
    env: &Environment,
    limits: &'a Limits,
    sinks: &'a [sink::Settings],
    diagnostics: &mut Diagnostics,
) -> Defaults<'a> {
    let allowed_ips = match env.sources.gatepost_allowed_ips.as_deref() {
        None => AllowedIps::Unset,
        Some("any") => AllowedIps::Set(Networks::Any),
        Some(list) => match source::networks(list.split(',').map(str::trim)) {
            Ok(networks) => AllowedIps::Set(networks),
            Err(problems) => {
                for problem in problems {
                    diagnostics.error("GATEPOST_ALLOWED_IPS", problem);
                }
                AllowedIps::Faulty
            }
        },
    };
    let window = source::DRIFT.start().as_secs()..=source::DRIFT.end().as_secs();
    let read = |text: &str| plain(text, &window).map(Duration::from_secs);
    let drift = env.sources.gatepost_max_drift_seconds.as_ref();
    Defaults {
        allowed_ips,
        max_drift: from_env(diagnostics, "GATEPOST_MAX_DRIFT_SECONDS", drift, read).unwrap_or(Duration::from_mins(5)),
        limits,
        sinks,
        always: sinks.iter().find(|sink| sink.everywhere).map(|sink| sink.name.clone()),
    }
}

fn warn_about_service(service: Option<&str>, sources: &[Source], diagnostics: &mut Diagnostics) {
    if service.is_some() && !sources.iter().any(|source| source.name.as_str() == "cxone") {
        diagnostics.warn("CXONE_AWS_SERVICE is set, but there is no source cxone for it");
    }
}

fn warn_about_window(env: &Environment, sources: &[Source], diagnostics: &mut Diagnostics) {
    let windowed = sources.iter().any(|source| scheme::has_timestamp(&source.scheme));
    if env.sources.gatepost_max_drift_seconds.is_some() && !windowed && !sources.is_empty() {
        diagnostics.warn("GATEPOST_MAX_DRIFT_SECONDS is set, but no source has a timestamp to hold against it");
    }
}

/// One warning for each pair of sources that share a secret: what one vendor signs, the other source believes.
fn warn_about_shared_secrets(all: &All, twins: &[Vec<Source>], diagnostics: &mut Diagnostics) {
    let sources: Vec<(&Source, &Place)> = all.sources.iter().zip(&all.places).collect();
    for (index, ((one, one_place), twins)) in sources.iter().zip(twins).enumerate() {
        for (other, other_place) in &sources[index + 1..] {
            // One variable enables both Cognigy sources: that is how the vendor signs, and nothing to mend.
            let by_design = one_place.variable.is_some() && one_place.variable == other_place.variable;
            let twin = twins.iter().any(|twin| twin.name == other.name);
            if !by_design && (twin || shares(one, other)) {
                let risk = if twin {
                    "whoever signs for one is believed by the other, and so is everybody who captured a request, for only the body is signed; one body counts once among them"
                } else {
                    "whoever signs for one is believed by the other"
                };
                diagnostics.warn(format!("sources {} and {} share a secret: {risk}", one.name, other.name));
            }
        }
    }
}

fn shares(one: &Source, other: &Source) -> bool {
    let secrets = |source: &Source| {
        let keys = source.scheme.keys.iter().map(|key| key.secret.clone());
        source.scheme.secrets.iter().cloned().chain(keys).collect::<Vec<_>>()
    };
    let others = secrets(other);
    secrets(one).iter().any(|secret| others.iter().any(|other| secret.same_as(other)))
}
