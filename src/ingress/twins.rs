//! Twins of a source: others that believe the same signatures of the same bodies, among which one body counts once.
//!
//! A signature that covers only the body stays good for ever and at every source with that secret: whoever captured a
//! request to one could send it to the others. The id is looked for under each of their names.

use http::request::Parts;

use crate::event::{EventId, EventKey, Name, Payload};

use super::extract::Extractor;
use super::settings::SourceSettings;

/// The twins of one source.
pub struct Twins(Vec<(Name, Extractor)>);

impl Twins {
    /// Those of `source`.
    #[must_use]
    pub fn of(source: &SourceSettings) -> Self {
        Self(source.twins.iter().map(|twin| (twin.name.clone(), Extractor::new(twin))).collect())
    }

    /// The keys under which they would have stored this body: its id by their rules, or its digest, by which an
    /// operator may have released it. A body that a twin does not take has none there.
    #[must_use]
    pub fn keys(&self, head: &Parts, payload: &Payload) -> Vec<EventKey> {
        let mut keys = Vec::new();
        for (name, extractor) in &self.0 {
            keys.push(EventKey::of(name, &EventId::of_digest(&payload.digest())));
            keys.extend(extractor.extract(head, payload).map(|fields| EventKey::of(name, &fields.id)));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
