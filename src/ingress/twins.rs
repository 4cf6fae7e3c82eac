//! Twins of a source: others that believe the same signatures of the same bodies, among which one body counts once.
//!
//! A signature that covers only the body stays good for ever and at every source with that secret: whoever captured a
//! request to one could send it to the others. The id is looked for under each of their names.

use http::request::Parts;

use crate::event::{EventId, EventKey, Name, Payload};

use super::extract::Extractor;
use super::settings::SourceSettings;

/// The twins of one source.
pub struct Twins(Vec<Twin>);

struct Twin {
    name: Name,
    /// `None`: it finds the id that the source itself finds.
    extractor: Option<Extractor>,
}

impl Twins {
    /// Those of `source`.
    #[must_use]
    pub fn of(source: &SourceSettings) -> Self {
        let own = Extractor::new(source);
        let twin = |twin: &SourceSettings| {
            let extractor = Some(Extractor::new(twin)).filter(|extractor| !extractor.finds_the_same_id_as(&own));
            Twin { name: twin.name.clone(), extractor }
        };
        Self(source.twins.iter().map(twin).collect())
    }

    /// The keys under which they would have stored this body: its id by their rules, or its digest, by which an
    /// operator may have released it. A body that a twin does not take has none there. `own` is the id that the source
    /// itself found, where it takes the body.
    #[must_use]
    pub fn keys(&self, head: &Parts, payload: &Payload, own: Option<&EventId>) -> Vec<EventKey> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let digest = EventId::of_digest(&payload.digest());
        let mut keys = Vec::with_capacity(2 * self.0.len());
        for Twin { name, extractor } in &self.0 {
            keys.push(EventKey::of(name, &digest));
            match extractor {
                None => keys.extend(own.map(|id| EventKey::of(name, id))),
                Some(other) => keys.extend(other.extract(head, payload).map(|fields| EventKey::of(name, &fields.id))),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Settings of sources with these rules, which share a secret and sign the body alone.
    fn sources(rules: &[&str]) -> Vec<SourceSettings> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("gatepost.toml");
        let mut toml = "[tls]\ncert_file = \"a\"\nkey_file = \"b\"\n".to_owned();
        for (number, rules) in rules.iter().enumerate() {
            let _ = write!(
                toml,
                "[[source]]\nname = \"s{number}\"\npreset = \"hmac\"\npath = \"/{number}\"\nallowed_ips = \"any\"\n\
                 signature_header = \"X-Sig\"\nsignature_format = \"{{hex}}\"\nsigned_content = \"{{body}}\"\n\
                 secrets = [{{ env = \"S\" }}]\n{rules}\n"
            );
        }
        std::fs::write(&file, toml).unwrap();
        let env = [("S".into(), "a-secret-of-the-tests".into())].into();
        crate::config::load(Some(&file), &env).unwrap().live.sources.clone()
    }

    #[test]
    fn what_a_twin_finds_is_the_same_whether_it_looks_itself_or_not() {
        let rules = [
            "event_id = \"/a\"",
            "event_id = \"/a\"\nevent_type = \"/b\"",
            "event_id = \"/b\"",
            "event_id = \"/a\"\nrequired_fields = [\"/b\"]",
            "event_id = \"digest\"",
            "event_id = \"digest\"",
        ];
        let sources = sources(&rules);
        let (head, ()) = http::Request::new(()).into_parts();
        let bodies = [r#"{"a":"1","b":"2"}"#, r#"{"a":"1"}"#, r#"{"b":"2"}"#, r#"{"a":1,"a":2}"#, "{}", "no"];
        for (source, body) in sources.iter().flat_map(|source| bodies.map(|body| (source, body))) {
            let payload = Payload::from(bytes::Bytes::from_static(body.as_bytes()));
            let id =
                |source: &SourceSettings| Extractor::new(source).extract(&head, &payload).ok().map(|found| found.id);
            let mut expected = Vec::new();
            for twin in sources.iter().filter(|twin| twin.name != source.name) {
                expected.push(EventKey::of(&twin.name, &EventId::of_digest(&payload.digest())));
                expected.extend(id(twin).map(|id| EventKey::of(&twin.name, &id)));
            }
            expected.sort_unstable();
            expected.dedup();
            let found = Twins::of(source).keys(&head, &payload, id(source).as_ref());
            assert_eq!(found, expected, "{} {body}", source.name);
        }
        let look = |source: &SourceSettings| Twins::of(source).0.iter().filter(|twin| twin.extractor.is_some()).count();
        assert_eq!(sources.iter().map(look).collect::<Vec<_>>(), [4, 4, 5, 5, 4, 4]);
    }
}
