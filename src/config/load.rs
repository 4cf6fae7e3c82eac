//! Reads the configuration: file and environment in, a `Config` or every fault out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Table;

use super::env::{self, Environment};
use super::section::Section;
use super::sections::{self, within};
use super::{Config, Limits, Tls, outlets};
use crate::event::Name;
use crate::file::read_regular;
use crate::ingress::settings as sources;
use crate::settings::Watched;
use crate::settings::{ConfigError, ConfigErrors};
use crate::settings::{Diagnostics, Table as Keys, report_unknown};

/// The largest configuration that is taken.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A configuration as it was read, whatever is wrong with it: what else is wrong can be told with it.
pub struct Draft {
    config: Config,
    faults: Vec<ConfigError>,
    watched: Watched,
}

impl Draft {
    /// The certificates it names; none where that cannot be told.
    #[must_use]
    pub const fn tls(&self) -> &Tls {
        &self.config.tls
    }

    /// The files it was read from, also of one that cannot be used: the mistake may be mended in any of them.
    #[must_use]
    pub const fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Records what somebody else found wrong.
    pub fn fault(&mut self, faults: impl IntoIterator<Item = ConfigError>) {
        self.faults.extend(faults);
    }

    /// The configuration, where nothing is wrong.
    ///
    /// # Errors
    /// Every fault there is, each with its key, variable or file.
    pub fn finish(self) -> Result<Config, ConfigErrors> {
        let faults = unique(self.faults);
        if faults.is_empty() { Ok(self.config) } else { Err(ConfigErrors(faults)) }
    }
}

/// Reads the configuration from `file`, where there is one, and `vars` (the environment, as a parameter).
///
/// Built-in default < file < environment. Secrets are read from their files; certificates are only named.
///
/// # Errors
/// Every fault there is, each with its key, variable or file. A file that is not TOML is one fault.
pub fn load(file: Option<&Path>, vars: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    draft(file, vars).finish()
}

/// Reads the configuration as [`load`] does, for whoever has more to say about it.
#[must_use]
pub fn draft(file: Option<&Path>, vars: &BTreeMap<String, String>) -> Draft {
    let mut diagnostics = Diagnostics::new(vars);
    let table = file.map_or_else(Table::new, |path| {
        diagnostics.files.insert(path.to_owned());
        read(path).unwrap_or_else(|fault| {
            diagnostics.errors.push(fault);
            Table::new()
        })
    });
    // What the file does not say cannot be missed when the file cannot be read.
    let readable = diagnostics.errors.is_empty();
    let mut config = assemble(table, vars, &mut diagnostics);
    if !readable {
        diagnostics.errors.truncate(1);
        config.tls.certificates.clear();
        config.tls.client_ca_file = None;
    }
    Draft { config, faults: diagnostics.errors, watched: diagnostics.files }
}

fn assemble(mut table: Table, vars: &BTreeMap<String, String>, diagnostics: &mut Diagnostics) -> Config {
    let env = Environment::read(vars, diagnostics);
    let in_file = table.remove_entry("source").into_iter().collect();
    let mut root = Section::new("", table);
    root.misplaced(&["source"], "");
    let listener =
        within(&mut root, "listener", diagnostics, |file, found| sections::listener(file, &env.process, found));
    let tls = within(&mut root, "tls", diagnostics, |file, found| sections::tls(file, &env.tls, found));
    let limits = within(&mut root, "limits", diagnostics, |file, found| sections::limits(file, &env.bounds, found));
    let shutdown = within(&mut root, "shutdown", diagnostics, |file, _| sections::shutdown(file));
    let quarantine = within(&mut root, "quarantine", diagnostics, |file, _| sections::quarantine(file));
    let store = within(&mut root, "store", diagnostics, |file, found| sections::store(file, &env, quarantine, found));
    let admin = within(&mut root, "admin", diagnostics, |file, found| sections::admin(file, &env.process, found));
    let log = within(&mut root, "log", diagnostics, |file, found| sections::log(file, &env.process, found));
    let siem = within(&mut root, "siem", diagnostics, |file, found| outlets::siem(file, &env.outlets, found));
    let sinks = outlets::sinks(&mut root, &env.outlets, diagnostics);
    let names: Vec<Name> = sinks.iter().map(|sink| sink.name.clone()).collect();
    let forward = env.outlets.gatepost_forward_url.as_ref().map(|_| outlets::FORWARD.into());
    let Limits { body_bytes, body_memory_bytes, .. } = limits;
    let among = sources::Surroundings { sinks: &names, always: forward.as_ref(), body_bytes, body_memory_bytes };
    let mut source_tables = Keys::new("", "", in_file);
    let sources = sources::read(&mut source_tables, &among, diagnostics);
    source_tables.finish(diagnostics);
    root.finish(&mut diagnostics.errors);
    if limits.body_bytes > limits.body_memory_bytes {
        diagnostics
            .error("limits.body_bytes", "is more than limits.body_memory_bytes, so that the largest bodies never fit");
    }
    if admin.address == listener.address && listener.address.port() != 0 {
        diagnostics.error("admin.address", format!("{} is the address of [listener] already", admin.address));
    }
    let mut known: BTreeSet<String> = env::names().collect();
    known.extend(sources::variables());
    let referenced = diagnostics.referenced.clone();
    report_unknown(vars, &known, &referenced, diagnostics);
    diagnostics.close();
    Config {
        listener,
        tls,
        limits,
        shutdown,
        store,
        admin,
        log,
        sources,
        sinks,
        siem,
        warnings: std::mem::take(&mut diagnostics.warnings),
        files: diagnostics.files.paths().cloned().collect(),
        origins: std::mem::take(&mut diagnostics.origins),
        sections: std::mem::take(&mut diagnostics.sections).into(),
    }
}

/// Reads the file as TOML. The text is never repeated in a fault: a secret may stand on the faulty line.
fn read(path: &Path) -> Result<Table, ConfigError> {
    let place = path.display().to_string();
    let bytes =
        read_regular(path, MAX_FILE).map_err(|error| ConfigError::new(&place, format!("cannot read it: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::new(&place, "expected TOML in UTF-8"))?;
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        let at = line.map_or(place.clone(), |line| format!("{place}:{line}"));
        ConfigError::new(at, format!("expected TOML: {}", error.message()))
    })
}

/// The faults in their order, none twice.
fn unique(faults: Vec<ConfigError>) -> Vec<ConfigError> {
    let mut kept: Vec<ConfigError> = Vec::with_capacity(faults.len());
    for fault in faults {
        if !kept.contains(&fault) {
            kept.push(fault);
        }
    }
    kept
}
