//! What a command was started with: the configuration file, the variables, the clock.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::Loader;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::ingress::SourceSettings;
use crate::metrics::Metrics;
use crate::scheme;
use crate::settings::{ConfigError, ConfigErrors};
use crate::store::{self, Store};

use super::failure::Failure;

/// Prefixes of the variables that configure gatepost, those of vendors aside.
const OURS: [&str; 3] = ["GATEPOST_", "TLS_", "WEBHOOK_"];

/// Arguments and surroundings that every command shares.
#[derive(Clone)]
pub(super) struct Invocation {
    /// `--config`, else `GATEPOST_CONFIG`.
    pub(super) file: Option<PathBuf>,
    /// The environment.
    pub(super) vars: BTreeMap<String, String>,
    /// What time it is.
    pub(super) clock: Clock,
}

impl Invocation {
    /// That of this process.
    pub(super) fn of_process(file: Option<PathBuf>) -> Result<Self, Failure> {
        let vars = text_variables(std::env::vars_os())?;
        let file = file.or_else(|| vars.get("GATEPOST_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
        Ok(Self { file, vars, clock: Clock::system() })
    }

    /// Loads the configuration. Certificates are only named, so that whoever does not serve needs none.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        Ok(config::load(self.file.as_deref(), &self.vars)?)
    }

    /// Loads the configuration whenever asked.
    pub(super) fn loader(&self) -> Loader {
        let again = self.clone();
        Arc::new(move || config::draft(again.file.as_deref(), &again.vars))
    }
}

/// Opens the store of `config`, beside whatever else has it open.
pub(super) async fn open_store(config: &Config) -> Result<Store, Failure> {
    Ok(store::open(&config.store, Arc::new(Metrics::new())).await?)
}

/// The source called `name`.
pub(super) fn source<'a>(config: &'a Config, name: &str) -> Result<&'a SourceSettings, Failure> {
    config.sources.iter().find(|source| source.name.as_str() == name).ok_or_else(|| {
        let known = config.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>();
        Failure::Usage(match known.as_slice() {
            [] => format!("no source is called {name:?}: the configuration has none (is --config missing?)"),
            known => format!("no source is called {name:?}; there are: {}", known.join(", ")),
        })
    })
}

fn text_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut vars = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => {
                vars.insert(name, value);
            }
            // One of ours that is not text is a fault, not a gap.
            Err(_) if is_ours(&name) => {
                faults.push(ConfigError::new(name, "the value is not UTF-8"));
            }
            Err(_) => {}
        }
    }
    if faults.is_empty() { Ok(vars) } else { Err(ConfigErrors(faults).into()) }
}

fn is_ours(name: &str) -> bool {
    let vendors = scheme::variables().map(|(variable, _)| variable);
    OURS.into_iter().chain(vendors).any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn variable(name: &str, value: &[u8]) -> (OsString, OsString) {
        (name.into(), OsString::from_vec(value.to_vec()))
    }

    #[test]
    fn a_secret_that_is_not_text_is_a_fault_and_never_a_missing_one() {
        let failure = text_variables([variable("NICE_WEBHOOK_SECRET", b"\xff\xfe")].into_iter()).unwrap_err();
        assert_eq!(failure.to_string(), "NICE_WEBHOOK_SECRET: the value is not UTF-8");
    }

    #[test]
    fn other_programs_variables_may_hold_anything() {
        let vars = text_variables([variable("LS_COLORS", b"\xff"), variable("HOME", b"/root")].into_iter()).unwrap();
        assert_eq!(vars.into_iter().collect::<Vec<_>>(), [("HOME".to_owned(), "/root".to_owned())]);
    }
}
