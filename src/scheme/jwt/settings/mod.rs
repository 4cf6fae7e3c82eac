//! What JSON Web Tokens are judged by: the keys of a source's table, parsed.

mod check;
mod row;
mod scheme;

use std::path::PathBuf;
use std::sync::Arc;

use super::algorithm::{Algorithm, names};
use super::claims::Wanted;
use super::jwks::{self, Jwks};
use crate::scheme::secret_encoding::{self, ENCODINGS, SECRET_ENCODING, SecretEncoding};
use crate::scheme::token_place::Place;
use crate::secret::Secret;
use crate::settings::kind::{choice, path, text};
use crate::settings::lists::{list, one_or_more};
use crate::settings::record::Shown;
use crate::settings::{Diagnostics, Table, grammar, key, secrets};

pub(in crate::scheme) use self::row::Vendor;

pub(super) const ALGORITHMS: &str = "algorithms";
pub(super) const ISSUER: &str = "issuer";
pub(super) const AUDIENCE: &str = "audience";
pub(super) const JWKS_FILE: &str = "jwks_file";
pub(super) const SECRETS: &str = "secrets";
pub(super) const BODY_HASH: &str = "body_hash";

/// What tokens are judged by. What is `None` or empty and may not be was missing or wrong, and is told.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) wanted: Wanted,
    pub(super) secrets: Vec<Secret>,
    pub(super) secret_encoding: SecretEncoding,
    /// Where the public keys stand, and what they are, unless something is wrong with the file.
    pub(super) jwks: Option<(PathBuf, Arc<Jwks>)>,
    pub(super) body_hash: Option<String>,
    pub(super) place: Place,
}

impl Settings {
    /// Reads a source's keys.
    fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let algorithms = key(
            ALGORITHMS,
            "What tokens may be signed with, pinned: nothing else is believed, whatever a token says. Those of the family \
             HS go with secrets, all others with jwks_file, and the two are never mixed.",
            list(choice(Algorithm::ALL)).not_empty("is empty, so that no token would be taken: name at least one"),
        )
        .required("is missing: pin what the sender signs with, as in [\"ES256\"]", table, diagnostics)
        .unwrap_or_default();
        let wanted = Self::wanted(table, diagnostics);
        let jwks = Self::jwks(&algorithms, table, diagnostics);
        let secrets = secrets(
            SECRETS,
            "The secrets that verify tokens of the family HS; all are tried, the first is primary. To rotate, put the new \
             one first and remove the old one when its series of \
             gatepost_verification_key_last_used_timestamp_seconds (label key: its label or fingerprint) shows that it is \
             no longer used. RFC 7518 wants as many bytes as the hash has; shorter ones warn.",
        )
        .maybe(table, diagnostics);
        let secret_encoding =
            key(SECRET_ENCODING, secret_encoding::DOC, choice(ENCODINGS)).or(SecretEncoding::Text, table, diagnostics);
        let body_hash = key(
            BODY_HASH,
            "JSON pointer to the claim that holds SHA-256 of the body, in hex, base64 or base64url: a token without it, or \
             with another body, is refused. Without this key the token proves who sends and nothing about the body.",
            text(grammar::pointer, "a JSON pointer"),
        )
        .maybe(table, diagnostics)
        .value();
        let place = Place::bearer(table, diagnostics);
        Self { algorithms, wanted, secrets, secret_encoding, jwks, body_hash, place }
    }

    fn wanted(table: &mut Table, diagnostics: &mut Diagnostics) -> Wanted {
        let names = |empty| one_or_more(text(name, "a string"), empty);
        let issuers = key(
            ISSUER,
            "Whose tokens are taken: what iss must say, or a list of which it must say one. Without it iss may say anything.",
            names("is empty, so that no token would be taken: name an issuer, or remove it"),
        );
        let issuers = issuers.maybe(table, diagnostics).value().unwrap_or_default();
        let audiences = key(
            AUDIENCE,
            "For whom tokens must be: what aud must hold, or a list of which it must hold one. Without it only tokens \
             without aud are taken, for one that names its audience is for nobody else (RFC 7519, section 4.1.3).",
            names("is empty, so that no token would be taken: name an audience, or remove it"),
        );
        let audiences = audiences.maybe(table, diagnostics).value().unwrap_or_default();
        Wanted { issuers, audiences }
    }

    fn jwks(pinned: &[Algorithm], table: &mut Table, diagnostics: &mut Diagnostics) -> Option<(PathBuf, Arc<Jwks>)> {
        let file = key(
            JWKS_FILE,
            "The file with the sender's public keys, a JWKS (RFC 7517), read again when it changes: a token names its key \
             by kid, and one that names none is held against all that go with its algorithm. Logs and metrics call a key by \
             its kid.",
            path(),
        );
        let file = file.maybe(table, diagnostics).value()?;
        diagnostics.files.insert(file.clone());
        // Those of the family HS beside a file are an error of their own, and say nothing about its keys.
        let pinned: Vec<Algorithm> = pinned.iter().copied().filter(|algorithm| !algorithm.is_symmetric()).collect();
        match jwks::read(&file, &pinned) {
            Ok(jwks) => {
                let keys: Vec<String> =
                    jwks.keys.iter().map(|key| format!("{:?} ({})", key.name, names(&key.algorithms))).collect();
                let shown = format!("{:?} # keys {}", file.display().to_string(), keys.join(", "));
                // So that a key that changes under its name is seen to change.
                table.show(JWKS_FILE, Shown::Plain(shown, Secret::token(jwks.digest.as_str()).ok()));
                Some((file, Arc::new(jwks)))
            }
            Err(problem) => {
                table.error(JWKS_FILE, format!("{} {problem}", file.display()), diagnostics);
                None
            }
        }
    }
}

/// What `iss` or `aud` holds.
fn name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a name, found nothing".to_owned()) } else { Ok(text.to_owned()) }
}
