//! Sinks: what waits for each, paused, resumed, slowed down.

use std::collections::BTreeMap;

use super::Operations;
use super::error::OperationError;
use super::journal::Deed;
use super::operator::Operator;
use crate::event::Name;
use crate::settings::suggestion;
use crate::sink::Rate;
use crate::store::{Backlog, Pause, RateOverride, SinkControl};

/// The longest reason that is kept, in bytes.
const REASON_BYTES: usize = 512;

/// How a sink stands.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// What it is called.
    pub name: Name,
    /// Whether it is in the configuration.
    pub configured: bool,
    /// The configured rate.
    pub rate: Option<Rate>,
    /// What waits for it and died on the way to it.
    pub backlog: Backlog,
    /// What operators decided about it.
    pub control: SinkControl,
}

impl Operations<'_> {
    /// Every sink, as configured and then those that only the store knows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_sinks(&self) -> Result<Vec<SinkStatus>, OperationError> {
        let mut controls: BTreeMap<Name, SinkControl> = self.store.sink_controls.all().await?.into_iter().collect();
        let mut left: BTreeMap<Name, Backlog> = self.store.outbox.sinks().await?.into_iter().collect();
        let mut found = Vec::new();
        for sink in self.sinks {
            let (control, backlog) = (controls.remove(&sink.name), left.remove(&sink.name));
            found.push(SinkStatus {
                name: sink.name.clone(),
                configured: true,
                rate: sink.rate,
                backlog: backlog.unwrap_or_default(),
                control: control.unwrap_or_default(),
            });
        }
        for name in controls.keys().filter(|name| !left.contains_key(*name)).cloned().collect::<Vec<_>>() {
            left.insert(name, Backlog::default());
        }
        found.extend(left.into_iter().map(|(name, backlog)| {
            let control = controls.remove(&name).unwrap_or_default();
            SinkStatus { name, configured: false, rate: None, backlog, control }
        }));
        Ok(found)
    }

    /// Pauses the configured sink `name`: nothing more is delivered to it, by any process, and nothing of it dies of age.
    /// `false`, and nothing changes, where it is paused already.
    ///
    /// # Errors
    /// [`OperationError::Refused`] for a sink that nobody configured or a reason that is none; those of the store.
    pub async fn pause_sink(
        &self,
        name: &str,
        operator: &Operator,
        reason: Option<&str>,
    ) -> Result<bool, OperationError> {
        let sink = self.configured_sink(name)?;
        if reason.is_some_and(|reason| reason.len() > REASON_BYTES || reason.chars().any(char::is_control)) {
            let problem = format!("a reason has no control characters and at most {REASON_BYTES} bytes");
            return Err(OperationError::Refused(problem));
        }
        let by = operator.as_str().to_owned();
        let pause = Pause { at: self.clock.now(), by, reason: reason.map(str::to_owned) };
        let paused = self.store.sink_controls.pause(&sink, &pause).await?;
        if paused {
            self.record(operator, [deed("sink_pause", &sink, reason)]).await;
        }
        Ok(paused)
    }

    /// Ends the pause of sink `name`; gives what it was, where there was one.
    ///
    /// # Errors
    /// [`OperationError::Refused`] for a sink that nobody configured and nobody paused; those of the store.
    pub async fn resume_sink(&self, name: &str, operator: &Operator) -> Result<Option<Pause>, OperationError> {
        let sink = self.known_sink(name).await?;
        let resumed = self.store.sink_controls.resume(&sink).await?;
        if resumed.is_some() {
            self.record(operator, [deed("sink_resume", &sink, None)]).await;
        }
        Ok(resumed)
    }

    /// Makes `rate` (`100/s`, `600/m`) the rate of the configured sink `name`, or the configured one again.
    ///
    /// # Errors
    /// [`OperationError::Refused`] for a sink that nobody configured and a rate that is none; those of the store.
    pub async fn rate_sink(&self, name: &str, operator: &Operator, rate: Option<&str>) -> Result<(), OperationError> {
        let sink = match rate {
            Some(_) => self.configured_sink(name)?,
            None => self.known_sink(name).await?,
        };
        let rate = rate.map(Rate::parse).transpose().map_err(OperationError::Refused)?.map(|rate| rate.to_string());
        let (at, by) = (self.clock.now(), operator.as_str().to_owned());
        let given = rate.clone().map(|rate| RateOverride { rate, at, by });
        self.store.sink_controls.set_rate(&sink, given.as_ref()).await?;
        self.record(operator, [deed("sink_rate", &sink, Some(rate.as_deref().unwrap_or("as configured")))]).await;
        Ok(())
    }

    /// The configured sink called `name`.
    ///
    /// # Errors
    /// [`OperationError::Refused`] with what was perhaps meant.
    pub fn configured_sink(&self, name: &str) -> Result<Name, OperationError> {
        let known = || self.sinks.iter().map(|sink| sink.name.as_str());
        if known().any(|known| known == name) {
            return Ok(name.into());
        }
        let meant = suggestion(name, known());
        let all = known().collect::<Vec<_>>().join(", ");
        Err(OperationError::Refused(if all.is_empty() {
            format!("no sink is called {name:?}: the configuration has none (is --config missing?)")
        } else {
            format!("no sink is called {name:?}{meant}; there are: {all}")
        }))
    }

    /// The configured sinks called `names`.
    ///
    /// # Errors
    /// As [`Operations::configured_sink`].
    pub fn configured_sinks(&self, names: &[String]) -> Result<Vec<Name>, OperationError> {
        names.iter().map(|name| self.configured_sink(name)).collect()
    }

    /// The sink called `name`, which is configured, or about which something was decided when it was.
    async fn known_sink(&self, name: &str) -> Result<Name, OperationError> {
        let decided = self.store.sink_controls.all().await?;
        let found = decided.into_iter().map(|(sink, _)| sink).find(|sink| sink.as_str() == name);
        found.map_or_else(|| self.configured_sink(name), Ok)
    }

    /// Sinks that the store has deliveries for and the configuration no longer has.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn gone_sinks(&self) -> Result<Vec<Name>, OperationError> {
        let found = self.store.outbox.sinks().await?.into_iter().map(|(name, _)| name);
        Ok(found.filter(|name| !self.sinks.iter().any(|sink| sink.name == *name)).collect())
    }
}

fn deed<'a>(action: &'static str, sink: &Name, reason: Option<&'a str>) -> Deed<'a> {
    Deed { action, source: None, subject: sink.to_string(), reason }
}
