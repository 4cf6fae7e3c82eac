//! Everything that can be configured, as its owners declare it: each reads a table that says nothing.

use std::collections::BTreeMap;

use crate::ingress::Limits;
use crate::lifecycle::Shutdown;
use crate::server::{self, CertificateFiles, Deadlines, Tls};
use crate::settings::document::{Chapter, Document, Variant};
use crate::settings::kind::path;
use crate::settings::record::Section;
use crate::settings::{Diagnostics, Table, variable};
use crate::store::{self, QuarantineBounds};
use crate::{admin, telemetry};

/// Every section, key and variable.
#[must_use]
pub(crate) fn document() -> Document {
    let chapter = |title: &str, read: &dyn Fn(&mut Table, &mut Diagnostics)| {
        let section = declared(title, toml::Table::new(), read);
        Chapter { title: title.to_owned(), by: None, variants: vec![Variant { value: String::new(), section }] }
    };
    Document(vec![
        chapter("[listener]", &|table, diagnostics| drop(server::settings::read_listener(table, diagnostics))),
        chapter("[tls]", &|table, diagnostics| {
            drop(Tls::read(table, diagnostics));
            let mut further = Table::new("[[tls.certificate]]", "", toml::Table::new());
            drop(CertificateFiles::read(&mut further, diagnostics));
            further.finish_in(table, diagnostics);
        }),
        chapter("[limits]", &|table, diagnostics| {
            _ = (Limits::read(table, diagnostics), Deadlines::read(table, diagnostics));
        }),
        chapter("[shutdown]", &|table, diagnostics| _ = Shutdown::read(table, diagnostics)),
        chapter("[store]", &|table, diagnostics| drop(store::settings::read(table, diagnostics))),
        chapter("[quarantine]", &|table, diagnostics| _ = QuarantineBounds::read(table, diagnostics)),
        chapter("[admin]", &|table, diagnostics| drop(admin::settings::read(table, diagnostics))),
        chapter("[log]", &|table, diagnostics| drop(telemetry::settings::read(table, diagnostics))),
        chapter("", &alone),
    ])
}

/// The variables that no section has a key for.
pub(super) fn alone(table: &mut Table, diagnostics: &mut Diagnostics) {
    _ = variable("GATEPOST_CONFIG", "The file, where --config does not name one.", path()).maybe(table, diagnostics);
}

/// What is recorded of a table that holds nothing but `values`.
fn declared(title: &str, values: toml::Table, read: &dyn Fn(&mut Table, &mut Diagnostics)) -> Section {
    let nobody = BTreeMap::new();
    let mut diagnostics = Diagnostics::new(&nobody);
    let mut table = Table::new(title, title.trim_matches(['[', ']']), values);
    read(&mut table, &mut diagnostics);
    table.into_section()
}
