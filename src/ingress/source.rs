//! One source as the stack sees it: its configuration, its scheme, its series, its sinks.

use std::sync::Arc;

use jiff::Timestamp;

use crate::event::Name;
use crate::metrics::{Metrics, SourceMetrics};
use crate::scheme::{KeyIndex, Scheme};
use crate::sink;

use super::arrival::PinIndex;
use super::extract::Extractor;
use super::handshake::Handshake;
use super::settings::{CertificatePin, SourceSettings};
use super::twins::Twins;

/// A source, ready to receive.
pub struct Source {
    /// What the operator said of it.
    pub config: SourceSettings,
    /// What verifies it.
    pub scheme: Arc<dyn Scheme>,
    /// What logs and metrics call its keys: the scheme's, then those that certificates are pinned by.
    pub keys: Vec<String>,
    /// Its series.
    pub metrics: SourceMetrics,
    /// What is picked out of its bodies.
    pub extractor: Extractor,
    /// How it answers who asks whether events are wanted here.
    pub(super) handshake: Option<Handshake>,
    /// Among which one body counts once.
    pub twins: Twins,
    /// The sinks its events go to.
    sinks: Vec<sink::Settings>,
    /// All of their names, for the events that every one of them takes.
    everywhere: Arc<[Name]>,
}

impl Source {
    /// Puts a source together; `sinks` are all there are, of which it takes those that its configuration names.
    #[must_use]
    pub fn new(config: SourceSettings, scheme: Arc<dyn Scheme>, sinks: &[sink::Settings], metrics: &Metrics) -> Self {
        let sinks: Vec<_> = sinks.iter().filter(|sink| config.sinks.contains(&sink.name)).cloned().collect();
        let pins = config.client_certificates.iter().map(CertificatePin::name);
        let keys: Vec<String> = scheme.keys().iter().cloned().chain(pins).collect();
        Self {
            metrics: metrics.source(config.name.as_str(), &keys),
            keys,
            everywhere: sinks.iter().map(|sink| sink.name.clone()).collect(),
            extractor: Extractor::new(&config),
            handshake: config.handshake.as_ref().map(Handshake::new),
            twins: Twins::of(&config),
            config,
            scheme,
            sinks,
        }
    }

    /// Takes away from `metrics` what `next`, which takes this one's place, does not have: keys that are gone, or all.
    pub fn forget(&self, next: Option<&Self>, metrics: &Metrics) {
        let (name, keys) = (self.config.name.as_str(), &self.keys);
        match next {
            None => metrics.forget_source(name, keys),
            Some(next) => {
                let gone = keys.iter().filter(|key| !next.keys.contains(key));
                gone.for_each(|key| metrics.forget_key(name, key));
            }
        }
    }

    /// Positions among its keys of those that a request used: the scheme's, where it has any, then that of its pin.
    fn used(&self, keys: impl Iterator<Item = KeyIndex>, pin: Option<PinIndex>) -> impl Iterator<Item = KeyIndex> {
        let own = self.scheme.keys().len();
        keys.filter(move |key| key.0 < own).chain(pin.map(move |pin| KeyIndex(own + pin.0)))
    }

    /// Notes that a request used `keys` and `pin` at `now`; what it says that it was proved by, the names of several keys
    /// joined by `+`.
    pub(super) fn note_use(
        &self,
        keys: impl Iterator<Item = KeyIndex>,
        pin: Option<PinIndex>,
        now: Timestamp,
    ) -> String {
        let mut told = String::new();
        for key in self.used(keys, pin) {
            if let Some(last_used) = self.metrics.key_last_used(key.0) {
                last_used.set(now.as_duration().as_secs_f64());
            }
            if let Some(name) = self.told(key) {
                if !told.is_empty() {
                    told.push('+');
                }
                told.push_str(name);
            }
        }
        told
    }

    /// What an event says that `key` proved it by: a pin is told only where there is nothing else to tell.
    fn told(&self, key: KeyIndex) -> Option<&str> {
        let own = self.scheme.keys().len();
        self.keys.get(key.0).filter(|_| key.0 < own || own == 0).map(String::as_str)
    }

    /// Where an event of type `kind` goes.
    #[must_use]
    pub fn sinks_for(&self, kind: &str) -> Arc<[Name]> {
        if self.sinks.iter().all(|sink| sink.takes(kind)) {
            return Arc::clone(&self.everywhere);
        }
        self.sinks.iter().filter(|sink| sink.takes(kind)).map(|sink| sink.name.clone()).collect()
    }
}
