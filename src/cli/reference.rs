//! How operators name events: as listed, by event id, or as `source:id`, where ids may hold colons themselves.

use crate::config::Config;
use crate::event::{EventId, Name};
use crate::store::{Archive, Archived, EventRef};

use super::failure::Failure;

/// What `text` may mean, the likeliest first: `source:id` where what stands before the first colon is one of the
/// `known` sources, then the whole as an id, then `source:id` of a source that is configured no more.
pub(super) fn meanings(text: &str, known: &[Name]) -> Vec<EventRef> {
    let whole = EventId::new(text).map(|id| EventRef { source: None, id });
    let Some((source, id)) = text.split_once(':').filter(|(source, _)| is_source_name(source)) else {
        return whole.into_iter().collect();
    };
    let within = EventId::new(id).map(|id| EventRef { source: Some(source.into()), id });
    let meanings = if known.iter().any(|name| name.as_str() == source) { [within, whole] } else { [whole, within] };
    meanings.into_iter().flatten().collect()
}

/// The names of the configured sources.
pub(super) fn sources(config: &Config) -> Vec<Name> {
    config.sources.iter().map(|source| source.name.clone()).collect()
}

/// The one event that `text` names, with its body.
pub(super) async fn find(archive: &dyn Archive, text: &str, known: &[Name]) -> Result<Archived, Failure> {
    for meaning in meanings(text, known) {
        let mut found = archive.get(&meaning).await?;
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => return Err(ambiguous(text, found.iter().map(|archived| &archived.event.source))),
        }
    }
    Err(Failure::Runtime(format!("no event {text:?}; `gatepost events list` shows what there is")))
}

/// Several sources have an event of that id.
pub(super) fn ambiguous<'a>(text: &str, sources: impl Iterator<Item = &'a Name>) -> Failure {
    let candidates = sources.map(|source| format!("{source}:{text}")).collect::<Vec<_>>();
    Failure::Usage(format!("{text:?} names more than one: say {}", candidates.join(" or ")))
}

/// What a source may be called (contract 2.2).
fn is_source_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(Option<String>, String)> {
        let known = ["nice".into(), "cognigy".into()];
        let pair = |meaning: EventRef| (meaning.source.map(|name| name.to_string()), meaning.id.to_string());
        meanings(text, &known).into_iter().map(pair).collect()
    }

    fn within(source: &str, id: &str) -> (Option<String>, String) {
        (Some(source.to_owned()), id.to_owned())
    }

    fn whole(id: &str) -> (Option<String>, String) {
        (None, id.to_owned())
    }

    #[test]
    fn a_known_source_wins_over_a_colon_in_an_id() {
        assert_eq!(texts("nice:42"), [within("nice", "42"), whole("nice:42")]);
        assert_eq!(texts("cognigy:sha256:ab"), [within("cognigy", "sha256:ab"), whole("cognigy:sha256:ab")]);
    }

    #[test]
    fn a_colon_alone_makes_no_source() {
        assert_eq!(texts("sha256:ab"), [whole("sha256:ab"), within("sha256", "ab")]);
        assert_eq!(texts("urn:uuid:1"), [whole("urn:uuid:1"), within("urn", "uuid:1")]);
        assert_eq!(texts("A_B:1"), [whole("A_B:1")]);
        assert_eq!(texts(":1"), [whole(":1")]);
        assert_eq!(texts("plain"), [whole("plain")]);
    }

    #[test]
    fn what_can_be_no_id_is_not_looked_for() {
        assert_eq!(texts("nice:"), [whole("nice:")]);
        assert_eq!(texts(""), []);
    }
}
