//! All sources together: those of the file, those that variables make, and what must hold between them.

use super::SourceSettings;
use super::defaults::{Defaults, MAX_DRIFT, Surroundings};
use super::source::{self, Read, TITLE};
use crate::scheme::presets;
use crate::settings::{Diagnostics, Table};

/// Every source, in the order of the file and then of the presets. `root` is the whole file.
pub(crate) fn read(root: &mut Table, among: &Surroundings<'_>, diagnostics: &mut Diagnostics) -> Vec<SourceSettings> {
    let (defaults, windowed) = Defaults::read(among, root, diagnostics);
    let tables = root.tables("source", diagnostics);
    let mut none = tables.is_empty() && !root.is_faulty("source", diagnostics);
    let mut all: Vec<Read> =
        tables.into_iter().filter_map(|table| source::read(table, None, &defaults, diagnostics)).collect();
    let in_file = all.len();
    for preset in presets() {
        let Some(variable) = preset.scheme.enabled_by(diagnostics) else { continue };
        none = false;
        if all.iter().take(in_file).all(|read| read.source.name.as_str() != preset.name) {
            let table = Table::made_by(TITLE, variable);
            all.extend(source::read(table, Some(preset), &defaults, diagnostics));
        }
    }
    if none {
        let problem = format!("there is no source: add a [[source]] to the file, or set {}", how_to_enable());
        diagnostics.error("source", problem);
    }
    tell_apart(&all, diagnostics);
    warn_about_companions(&all, diagnostics);
    if windowed && !all.is_empty() && !all.iter().any(|read| read.source.scheme.uses_drift()) {
        diagnostics.warn(format!("{MAX_DRIFT} is set, but no source has a timestamp to hold against it"));
    }
    let twins = twins(&all);
    warn_about_shared_secrets(&all, &twins, diagnostics);
    let sources = all.into_iter().map(|read| read.source);
    sources.zip(twins).map(|(source, twins)| SourceSettings { twins: twins.into(), ..source }).collect()
}

/// Which variables make a source, in words.
fn how_to_enable() -> String {
    let mut ways: Vec<String> = presets().filter_map(|preset| preset.scheme.how_to_enable()).collect();
    ways.dedup();
    match ways.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => ways.concat(),
    }
}

/// Names and paths are unique; the later one is the faulty one.
fn tell_apart(all: &[Read], diagnostics: &mut Diagnostics) {
    for (position, Read { source, name_at, path_at, .. }) in all.iter().enumerate() {
        for Read { source: earlier, .. } in all.iter().take(position) {
            if earlier.name == source.name {
                diagnostics.error(name_at, format!("another source is called {} too", source.name));
            }
            if earlier.path == source.path && !source.path.is_empty() {
                let problem = format!(
                    "{} is the path of source {} already; sources need paths of their own",
                    source.path, earlier.name
                );
                diagnostics.error(path_at, problem);
            }
        }
    }
}

/// A variable that says more about a source that is not there.
fn warn_about_companions(all: &[Read], diagnostics: &mut Diagnostics) {
    for preset in presets() {
        if let Some(variable) = preset.scheme.companion()
            && diagnostics.variable(variable).is_some()
            && all.iter().all(|read| read.source.name.as_str() != preset.name)
        {
            diagnostics.warn(format!("{variable} is set, but there is no source {} for it", preset.name));
        }
    }
}

/// For each source those that accept the same signatures of the same bodies, however old they are.
fn twins(all: &[Read]) -> Vec<Vec<SourceSettings>> {
    let marked: Vec<_> = all.iter().map(|read| (&read.source, read.source.scheme.body_marks())).collect();
    let alike = |one: &[[u8; 32]], other: &[[u8; 32]]| one.iter().any(|mark| other.contains(mark));
    let of = |position: usize, marks: &[[u8; 32]]| {
        let others = marked.iter().enumerate().filter(|(other, _)| *other != position);
        let twins = others.filter(|(_, (_, others))| alike(marks, others));
        twins.map(|(_, (twin, _))| (*twin).clone()).collect()
    };
    marked.iter().enumerate().map(|(position, (_, marks))| of(position, marks)).collect()
}

/// One warning for each pair of sources that share a secret: what one vendor signs, the other source believes.
fn warn_about_shared_secrets(all: &[Read], twins: &[Vec<SourceSettings>], diagnostics: &mut Diagnostics) {
    for (position, (one, twins)) in all.iter().zip(twins).enumerate() {
        for other in all.iter().skip(position + 1) {
            // One variable enables both sources of a vendor: that is how it signs, and nothing to mend.
            let by_design = one.variable.is_some() && one.variable == other.variable;
            let (one, other) = (&one.source, &other.source);
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

fn shares(one: &SourceSettings, other: &SourceSettings) -> bool {
    let others = other.scheme.secrets();
    one.scheme.secrets().iter().any(|secret| others.iter().any(|other| secret.same_as(other)))
}
