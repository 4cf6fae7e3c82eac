//! Looks for the fewest known changes after which the signature fits: none, one, then two; first with the key claimed.

use super::super::query::Plus;
use super::model::{Envelope, Model, Variant};
use super::{Authorization, CONTENT_SHA256, Case, HASH_LEN, date, hash, headers, paths, queries};
use crate::scheme::diagnose::{Cause, Diagnosis, bodies, secrets};
use crate::scheme::header::Occurrence;
use crate::scheme::mac::{Key, Mac};

/// Signatures that are computed for one diagnosis: some tens of milliseconds.
const MAX_TRIES: usize = 15_000;

/// Secrets of other sources that are tried.
const MAX_OTHERS: usize = 64;

/// A key that may have signed, and what it would mean that it did.
struct Candidate {
    key: Key,
    meaning: Option<(Cause, String)>,
}

/// Adds to `diagnosis` what has to be undone for the signature to fit; `None` where nothing known does.
pub(super) fn search(
    case: &Case<'_>,
    authorization: &Authorization<'_>,
    signature: &Mac,
    diagnosis: &mut Diagnosis,
) -> Option<()> {
    let credential = &authorization.credential;
    let date = Occurrence::of(&case.head.headers, date::HEADER).once()?;
    let scope = [credential.date, credential.region, credential.service, credential.terminator];
    let envelope = Envelope { date, scope, signature };
    let candidates = candidates(case, credential.access_key_id, &envelope);
    let readings = Plus::readings(case.head.uri.query().unwrap_or_default().as_bytes()).iter();
    let models: Vec<Model> =
        readings.map(|plus| Model::of(case.head, authorization.signed_headers, &hash(case.body), *plus)).collect();
    let variants = variants(case, authorization);
    let mut search = Search { envelope, models, variants, tries: MAX_TRIES };
    let (candidate, changes) = candidates
        .iter()
        .find_map(|candidate| search.none(candidate))
        .or_else(|| candidates.iter().find_map(|candidate| search.one(candidate)))
        .or_else(|| search.two(candidates.first()?))?;
    if let Some((cause, detail)) = &candidate.meaning {
        diagnosis.add(*cause, detail.clone());
    }
    for change in changes {
        diagnosis.add(change.cause, change.detail.clone());
    }
    Some(())
}

/// What is tried, and what is left of the work that may be done.
struct Search<'a> {
    envelope: Envelope<'a>,
    /// The canonical request as it arrived: one for each reading of a raw `+`.
    models: Vec<Model>,
    variants: Vec<Variant>,
    tries: usize,
}

type Found<'a> = (&'a Candidate, Vec<Variant>);

impl Search<'_> {
    fn fits(&mut self, candidate: &Candidate, model: &Model) -> bool {
        let Some(left) = self.tries.checked_sub(1) else { return false };
        self.tries = left;
        self.envelope.fits(&candidate.key, model)
    }

    /// Nothing was changed.
    fn none<'c>(&mut self, candidate: &'c Candidate) -> Option<Found<'c>> {
        let models = self.models.clone();
        models.iter().any(|model| self.fits(candidate, model)).then(|| (candidate, Vec::new()))
    }

    /// One thing was changed.
    fn one<'c>(&mut self, candidate: &'c Candidate) -> Option<Found<'c>> {
        let (models, variants) = (self.models.clone(), self.variants.clone());
        let fits = |variant: &&Variant| models.iter().any(|model| self.fits(candidate, &model.with([*variant])));
        variants.iter().find(fits).map(|variant| (candidate, vec![variant.clone()]))
    }

    /// Two things were changed.
    fn two<'c>(&mut self, candidate: &'c Candidate) -> Option<Found<'c>> {
        let (models, variants) = (self.models.clone(), self.variants.clone());
        for (position, first) in variants.iter().enumerate() {
            for model in &models {
                let changed = model.with([first]);
                for second in variants.iter().skip(position + 1).filter(|second| first.goes_with(second)) {
                    if self.fits(candidate, &changed.with([second])) {
                        return Some((candidate, vec![first.clone(), second.clone()]));
                    }
                }
            }
        }
        None
    }
}

/// The keys that may have signed, the claimed one first.
fn candidates(case: &Case<'_>, claimed: &str, envelope: &Envelope<'_>) -> Vec<Candidate> {
    let own = &case.settings.keys;
    let mut found = Vec::new();
    for key in own.iter().filter(|key| key.access_key_id == claimed) {
        found.push(Candidate { key: envelope.key(key.secret.expose()), meaning: None });
        for (secret, words) in secrets::ends(key.secret.expose()) {
            found.push(Candidate { key: envelope.key(&secret), meaning: Some((Cause::SecretEnds, words.to_owned())) });
        }
    }
    for key in own.iter().filter(|key| key.access_key_id != claimed) {
        let words =
            format!("the signature is made with the secret of {}, Credential names {claimed}", key.access_key_id);
        let meaning = Some((Cause::AccessKeyMixedUp, words));
        found.push(Candidate { key: envelope.key(key.secret.expose()), meaning });
    }
    let others = case.others.iter().flat_map(|(name, settings)| settings.keys.iter().map(move |key| (*name, key)));
    for (name, key) in others.take(MAX_OTHERS) {
        let words = format!("source {name} has the key {} that made the signature", key.access_key_id);
        let meaning = Some((Cause::OtherSourcesKey, words));
        found.push(Candidate { key: envelope.key(key.secret.expose()), meaning });
    }
    found
}

/// Every change that is tried, the usual ones first.
fn variants(case: &Case<'_>, authorization: &Authorization<'_>) -> Vec<Variant> {
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    let mut found = payloads(case);
    found.extend(headers::variants(case.head, &names, case.body.len()));
    found.extend(paths::variants(case.head, case.path));
    found.extend(queries::variants(case.head.uri.query().unwrap_or_default()));
    found
}

/// What may stand in place of the body's hash.
fn payloads(case: &Case<'_>) -> Vec<Variant> {
    let mut found = Vec::new();
    let declared = Occurrence::of(&case.head.headers, CONTENT_SHA256).once();
    for (body, cause, words) in bodies::variants(case.body) {
        found.push(Variant::payload(cause, hash(&body).to_vec(), format!("what was signed is {words}")));
    }
    if let Some(declared) = declared.filter(|declared| declared.len() == HASH_LEN) {
        let is_of_body = declared.eq_ignore_ascii_case(&hash(case.body));
        let cause = if is_of_body { Cause::BodyHashUpperCase } else { Cause::BodyChanged };
        let words = "the signature fits the hash in x-amz-content-sha256, and the body that arrived has another";
        let words = if is_of_body { "the signature fits the hash as it stands in x-amz-content-sha256" } else { words };
        found.push(Variant::payload(cause, declared.to_vec(), words));
    }
    let unsigned = declared.filter(|declared| declared.starts_with(b"STREAMING-"));
    for (text, cause) in [(Some(&b"UNSIGNED-PAYLOAD"[..]), Cause::BodyUnsigned), (unsigned, Cause::BodyStreamed)] {
        let Some(text) = text else { continue };
        let words = format!("{} stands in place of the hash", String::from_utf8_lossy(text));
        found.push(Variant::payload(cause, text.to_vec(), words));
    }
    found
}
