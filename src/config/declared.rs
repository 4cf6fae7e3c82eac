//! Everything that can be configured, as its owners declare it: each reads a table that says nothing.

use std::collections::BTreeMap;

use crate::audit::Siem;
use crate::ingress::Limits;
use crate::ingress::settings::{self as sources, Surroundings};
use crate::lifecycle::Shutdown;
use crate::scheme::{Preset, presets};
use crate::server::{self, CertificateFiles, Deadlines, Tls};
use crate::settings::document::{Chapter, Document, Variant};
use crate::settings::kind::path;
use crate::settings::record::Section;
use crate::settings::{Diagnostics, Table, variable};
use crate::store::{self, QuarantineBounds};
use crate::{admin, otlp, sink, telemetry};

/// Which file is read, where the command line does not say.
pub(crate) const FILE: &str = "GATEPOST_CONFIG";

/// The keys that decide which others a table has.
const DECIDING: [(&str, &str); 2] = [("[[source]]", "preset"), ("[[sink]]", "type")];

/// Every section, key and variable.
#[must_use]
pub(crate) fn document() -> Document {
    let nobody = BTreeMap::new();
    let mut diagnostics = Diagnostics::new(&nobody);
    let mut root = Table::new("", "", every_preset());
    one(&mut root, "listener", &mut diagnostics, |table, diagnostics| {
        drop(server::settings::read_listener(table, diagnostics));
    });
    one(&mut root, "tls", &mut diagnostics, |table, diagnostics| {
        drop(Tls::read(table, diagnostics));
        let mut further = Table::new("[[tls.certificate]]", "", toml::Table::new());
        drop(CertificateFiles::read(&mut further, diagnostics));
        further.finish_in(table, diagnostics);
    });
    one(&mut root, "limits", &mut diagnostics, |table, diagnostics| {
        _ = (Limits::read(table, diagnostics), Deadlines::read(table, diagnostics));
    });
    one(&mut root, "shutdown", &mut diagnostics, |table, diagnostics| _ = Shutdown::read(table, diagnostics));
    one(&mut root, "store", &mut diagnostics, |table, diagnostics| drop(store::settings::read(table, diagnostics)));
    one(&mut root, "quarantine", &mut diagnostics, |table, diagnostics| _ = QuarantineBounds::read(table, diagnostics));
    one(&mut root, "admin", &mut diagnostics, |table, diagnostics| {
        drop(admin::settings::read(table, diagnostics));
        admin::settings::declare(table, diagnostics);
    });
    one(&mut root, "log", &mut diagnostics, |table, diagnostics| drop(telemetry::settings::read(table, diagnostics)));
    let among = Surroundings {
        sinks: &[],
        always: None,
        body_bytes: 1 << 20,
        body_memory_bytes: usize::MAX,
        no_certificates: None,
    };
    drop(sources::read(&mut root, &among, &mut diagnostics));
    sink::declare(&mut diagnostics);
    otlp::Settings::declare(&mut diagnostics);
    Siem::declare(&mut diagnostics);
    alone(&mut root, &mut diagnostics);
    diagnostics.sections.push(root.into_section());
    Document(chapters(std::mem::take(&mut diagnostics.sections)))
}

/// The variables that no section has a key for.
pub(super) fn alone(table: &mut Table, diagnostics: &mut Diagnostics) {
    _ = variable(FILE, "The file, where --config does not name one.", path()).maybe(table, diagnostics);
}

/// A source of each preset, called as the variables call it that enable one.
fn every_preset() -> toml::Table {
    let source = |preset: &Preset| {
        let words = ["name", "preset"].map(|key| (key.to_owned(), toml::Value::from(preset.name)));
        toml::Value::Table(toml::Table::from_iter(words))
    };
    toml::Table::from_iter([("source".to_owned(), toml::Value::Array(presets().map(source).collect()))])
}

/// Declares the section `key`, of which the file says nothing.
fn one(
    root: &mut Table,
    key: &'static str,
    diagnostics: &mut Diagnostics,
    read: impl FnOnce(&mut Table, &mut Diagnostics),
) {
    let mut table = root.table(key, diagnostics);
    read(&mut table, diagnostics);
    table.finish(diagnostics);
}

/// Sections of one title together, in the order in which the first of each was declared.
fn chapters(sections: Vec<Section>) -> Vec<Chapter> {
    let mut chapters = Vec::<Chapter>::new();
    for section in sections {
        let by = DECIDING.iter().find(|(title, _)| *title == section.title).map(|(_, key)| *key);
        let value = by.and_then(|key| section.text_of(key)).unwrap_or_default();
        let example = presets().find(|preset| by.is_some() && preset.name == value).map_or(&[][..], |row| row.example);
        let variant = Variant { value, section, example };
        match chapters.iter_mut().find(|chapter| chapter.title == variant.section.title) {
            Some(chapter) => chapter.variants.push(variant),
            None => chapters.push(Chapter { title: variant.section.title.clone(), by, variants: vec![variant] }),
        }
    }
    chapters
}
