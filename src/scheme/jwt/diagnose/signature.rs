//! Who made the signature of a token, as far as that can be told.

use jsonwebtoken::DecodingKey;

use super::super::algorithm::Algorithm;
use super::super::compact::{Compact, Header};
use super::super::fault::Malformed;
use super::super::keys::made_by;
use super::super::redact::{Noted, noted};
use super::super::scheme::Jwt;
use super::super::settings::Settings;
use super::case::Case;
use super::words;
use crate::scheme::diagnose::{Cause, Diagnosis, secrets};
use crate::scheme::secret_encoding::{ENCODINGS, SecretEncoding};
use crate::secret::Secret;

/// Says what is wrong with algorithm, key and signature of `token`.
pub(super) fn check(case: &Case<'_>, verifier: &Jwt, token: &Compact<'_>, header: &Header, told: &mut Diagnosis) {
    if token.signature.is_empty() {
        words::say(&Malformed::Unsigned.into(), case, verifier, told);
    }
    let algorithm = match verifier.pinned(header) {
        Ok(algorithm) => algorithm,
        Err(fault) => return words::say(&fault, case, verifier, told),
    };
    let candidates = match verifier.keys.candidates(algorithm, header) {
        Ok(candidates) => candidates,
        Err(fault) => {
            words::say(&fault, case, verifier, told);
            return elsewhere(case, token, told);
        }
    };
    match noted(token.signature) {
        _ if token.signature.is_empty() => {}
        Some(Noted::By(_)) => {}
        Some(Noted::ByNobody) => told.add(
            Cause::JwtSignature,
            "the quarantine keeps no signature: with --request FILE, a whole request, more can be tried",
        ),
        Some(Noted::NotBase64) => words::say(&Malformed::NotBase64("signature").into(), case, verifier, told),
        None => match Compact::split(format!("{}.{}", token.signed, token.signature).as_bytes()) {
            Err(fault) => words::say(&fault.into(), case, verifier, told),
            Ok(whole) if verifier.keys.signer(&candidates, algorithm, &whole).is_some() => {}
            Ok(whole) => made_otherwise(case, algorithm, &whole, told),
        },
    }
}

/// Says who made a signature that none of the keys made.
fn made_otherwise(case: &Case<'_>, algorithm: Algorithm, token: &Compact<'_>, told: &mut Diagnosis) {
    let makes = |key: &[u8]| algorithm.is_symmetric() && made_by(&DecodingKey::from_secret(key), algorithm, token);
    for secret in &case.settings.secrets {
        if let Some(detail) = otherwise_encoded(case.settings.secret_encoding, secret, &makes) {
            return told.add(Cause::SecretEncoded, detail);
        }
        let ends = secrets::ends(secret.expose());
        if let Some((_, words)) = ends.iter().find(|(text, _)| makes(text)) {
            return told.add(Cause::SecretEnds, format!("key {}: {words}", secret.name()));
        }
    }
    let before = told.findings.len();
    elsewhere(case, token, told);
    if told.findings.len() == before {
        told.add(
            Cause::JwtSignature,
            "nor with the secrets in hex, in base64 and with other ends, nor with a key of another source",
        );
    }
}

/// What the sender does with `secret` that is not configured, where that makes the signature.
fn otherwise_encoded(own: SecretEncoding, secret: &Secret, makes: &dyn Fn(&[u8]) -> bool) -> Option<String> {
    let name = |wanted: SecretEncoding| ENCODINGS.iter().find(|(_, it)| *it == wanted).map_or("", |(name, _)| *name);
    let others = ENCODINGS.iter().filter(|(_, encoding)| *encoding != own);
    let (found, _) = others.into_iter().find(|(_, it)| it.key(secret).is_ok_and(|key| makes(&key)))?;
    Some(format!("key {}: secret_encoding is {:?}, and the sender takes it as {found:?}", secret.name(), name(own)))
}

/// Says whose key made the signature, where it is another source's.
fn elsewhere(case: &Case<'_>, token: &Compact<'_>, told: &mut Diagnosis) {
    let whole = format!("{}.{}", token.signed, token.signature);
    let Ok(token) = Compact::split(whole.as_bytes()) else { return };
    let signs = |settings: &Settings| settings.verifier().is_ok_and(|verifier| verifier.signer(&token).is_ok());
    if let Some((name, _)) = case.others.iter().find(|(_, settings)| signs(settings)) {
        told.add(Cause::OtherSourcesCredential, format!("a key of source {name} has signed it"));
    }
}
