//! What a command was started with: the configuration file, the variables, the clock.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::Loader;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::ingress::SourceSettings;
use crate::metrics::Metrics;
use crate::operations::{self, Operations, UNSEEN};
use crate::settings::{ConfigError, ConfigErrors, OURS};
use crate::store::{self, Store};

use super::failure::Failure;

/// What to say where nothing is configured.
const UNCONFIGURED: &str = "there is no configuration: name a file with --config FILE or GATEPOST_CONFIG, or set variables \
                            (docs/reference/configuration.md); `gatepost init` writes a file, `gatepost dev` runs without one";

/// Arguments and surroundings that every command shares.
#[derive(Clone)]
pub(super) struct Invocation {
    /// `--config`, else `GATEPOST_CONFIG`.
    pub(super) file: Option<PathBuf>,
    /// The environment.
    pub(super) vars: BTreeMap<String, String>,
    /// What time it is.
    pub(super) clock: Clock,
    /// Whether a daemon stops at once, whatever the configuration says.
    pub(super) without_drain: bool,
}

impl Invocation {
    /// That of this process.
    pub(super) fn of_process(file: Option<PathBuf>) -> Result<Self, Failure> {
        let vars = text_variables(std::env::vars_os())?;
        let file = file.or_else(|| vars.get(config::FILE).filter(|path| !path.is_empty()).map(PathBuf::from));
        Ok(Self { file, vars, clock: Clock::system(), without_drain: false })
    }

    /// Loads the configuration. Certificates are only named, so that whoever does not serve needs none.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        config::load(self.file.as_deref(), &self.vars).map_err(|errors| self.misconfigured(errors))
    }

    /// The failure that `errors` are; where nobody configured anything, that alone is what is wrong.
    pub(super) fn misconfigured(&self, errors: ConfigErrors) -> Failure {
        if self.is_configured() { errors.into() } else { Failure::Usage(UNCONFIGURED.to_owned()) }
    }

    /// Whether there is a file, or a variable that configures something.
    fn is_configured(&self) -> bool {
        if self.file.is_some() || self.vars.keys().any(|name| name.starts_with(OURS)) {
            return true;
        }
        let ours = config::document().variables();
        self.vars.keys().any(|name| ours.contains(name))
    }

    /// What operators do to `store`, by `config`.
    pub(super) fn operations<'a>(&'a self, config: &'a Config, store: &'a Store) -> Operations<'a> {
        Operations {
            store,
            sources: &config.live.sources,
            sinks: &config.live.sinks,
            siem: config.live.siem.is_some(),
            clock: &self.clock,
            progress: UNSEEN,
        }
    }

    /// Loads the configuration whenever asked.
    pub(super) fn loader(&self) -> Loader {
        let again = self.clone();
        Arc::new(move || {
            let draft = config::draft(again.file.as_deref(), &again.vars);
            if again.without_drain { draft.without_drain() } else { draft }
        })
    }
}

/// Does `work` with the store of `config`, beside whatever else has it open, and closes it.
pub(super) async fn with_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = store::open(&config.store(), Arc::new(Metrics::new())).await?;
    let done = work(&store).await?;
    store.maintenance.close().await?;
    Ok(done)
}

/// The source called `name`.
pub(super) fn source<'a>(config: &'a Config, name: &str) -> Result<&'a SourceSettings, Failure> {
    let found = config.live.sources.iter().find(|source| source.name.as_str() == name);
    found.ok_or_else(|| Failure::Usage(operations::no_source(name, &config.live.sources)))
}

fn text_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut vars = BTreeMap::new();
    let mut errors = Vec::new();
    // Most of the time nobody asks: it takes every declaration there is.
    let ours = LazyCell::new(|| config::document().variables());
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => {
                vars.insert(name, value);
            }
            // One that configures us and is not text must not be taken for one that is not set.
            Err(_) if ours.contains(&name) || name.starts_with(OURS) => {
                errors.push(ConfigError::new(name, "the value is not UTF-8"));
            }
            Err(_) => {}
        }
    }
    if errors.is_empty() { Ok(vars) } else { Err(ConfigErrors(errors).into()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn variable(name: &str, value: &[u8]) -> (OsString, OsString) {
        (name.into(), OsString::from_vec(value.to_vec()))
    }

    #[test]
    fn a_secret_that_is_not_text_is_an_error_and_never_a_missing_one() {
        let failure = text_variables([variable("NICE_WEBHOOK_SECRET", b"\xff\xfe")].into_iter()).unwrap_err();
        assert_eq!(failure.to_string(), "NICE_WEBHOOK_SECRET: the value is not UTF-8");
    }

    #[test]
    fn other_programs_variables_may_hold_anything() {
        let vars = text_variables([variable("LS_COLORS", b"\xff"), variable("HOME", b"/root")].into_iter()).unwrap();
        assert_eq!(vars.into_iter().collect::<Vec<_>>(), [("HOME".to_owned(), "/root".to_owned())]);
    }
}
