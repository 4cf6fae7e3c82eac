//! What must hold between the keys of a source of tokens, and what is worth a warning.

use jsonwebtoken as jwt;
use zeroize::Zeroizing;

use super::super::algorithm::{Algorithm, names};
use super::super::keys::{Key, Keys};
use super::super::scheme::Jwt;
use super::super::sign::Signer;
use super::{ALGORITHMS, JWKS_FILE, SECRETS, Settings};
use crate::scheme::secret_encoding::SECRET_ENCODING;
use crate::scheme::settings::{repeated_labels, repeated_secrets};
use crate::scheme::token::{Coding, NO_FORMAT, NO_HEADER, TOKEN_FORMAT, TOKEN_HEADER};
use crate::secret::Secret;
use crate::settings::{ConfigError, Diagnostics, Table};

impl Settings {
    /// Records every error that was not one of a single key, unless it may follow from one that is.
    pub(super) fn tell(&self, encoded: bool, table: &Table, diagnostics: &mut Diagnostics) {
        if encoded && self.jwks.is_some() && self.secrets.is_empty() {
            table.error(SECRET_ENCODING, "says what secrets are, and there are none: remove it", diagnostics);
        }
        let keys = [ALGORITHMS, JWKS_FILE, SECRETS, TOKEN_HEADER, TOKEN_FORMAT];
        if !keys.iter().any(|key| table.is_faulty(key, diagnostics)) {
            self.check().into_iter().for_each(|ConfigError { at, problem }| table.error(&at, problem, diagnostics));
        }
    }

    /// What one key promises and another must keep.
    fn check(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut error = |at: &str, problem: String| errors.push(ConfigError::new(at, problem));
        let (symmetric, others): (Vec<Algorithm>, Vec<Algorithm>) =
            self.algorithms.iter().partition(|algorithm| algorithm.is_symmetric());
        match (symmetric.as_slice(), others.as_slice(), self.jwks.is_some(), self.secrets.is_empty()) {
            ([], [], ..) => {
                error(ALGORITHMS, "is empty, so that no token would be taken: name at least one".to_owned())
            }
            ([_, ..], [_, ..], ..) => {
                let (secret, public) = (names(&symmetric), names(&others));
                error(
                    ALGORITHMS,
                    format!(
                        "mixes {secret}, which a secret verifies, with {public}, which a public key verifies: whoever has the public key could sign with it as a secret; make two sources of it"
                    ),
                );
            }
            (_, _, true, false) => {
                error(
                    JWKS_FILE,
                    "stands beside secrets, and a source takes one or the other: make two sources of it".to_owned(),
                );
            }
            ([_, ..], [], true, true) => {
                error(ALGORITHMS, format!("{} goes with secrets, and jwks_file holds public keys", names(&symmetric)));
            }
            ([_, ..], [], false, true) => {
                error(SECRETS, "is missing: name at least one, [{ file = \"/run/secrets/name\" }]".to_owned());
            }
            ([], [_, ..], false, false) => {
                error(ALGORITHMS, format!("{} goes with jwks_file, and secrets are no public keys", names(&others)));
            }
            ([], [_, ..], false, true) => {
                error(JWKS_FILE, "is missing: name the file with the sender's public keys, a JWKS".to_owned());
            }
            ([_, ..], [], false, false) | ([], [_, ..], true, true) => {}
        }
        if self.place.header.is_none() {
            error(TOKEN_HEADER, NO_HEADER.to_owned());
        }
        match &self.place.format {
            None => error(TOKEN_FORMAT, NO_FORMAT.to_owned()),
            Some(format) if format.coding() == Coding::Basic => {
                error(TOKEN_FORMAT, "holds {basic}, and a JSON Web Token stands as it is: write {token}".to_owned());
            }
            Some(_) => {}
        }
        repeated_labels(self.secrets.iter()).into_iter().for_each(|problem| error(SECRETS, problem));
        for (position, secret) in self.secrets.iter().enumerate() {
            if let Err(problem) = self.secret_encoding.key(secret) {
                error(&format!("{SECRETS}[{position}]"), problem);
            }
        }
        errors
    }

    /// What verifies.
    ///
    /// # Errors
    /// Every error, each with its key relative to the source.
    pub(in crate::scheme::jwt) fn verifier(&self) -> Result<Jwt, Vec<ConfigError>> {
        let errors = self.check();
        match (&self.place.header, &self.place.format, errors.as_slice()) {
            (Some(header), Some(format), []) => {
                let keys = self.keys();
                Ok(Jwt {
                    names: keys.names(),
                    keys,
                    algorithms: self.algorithms.clone(),
                    wanted: self.wanted.clone(),
                    body_hash: self.body_hash.clone(),
                    header: header.name().clone(),
                    format: format.clone(),
                    signer: self.signer(),
                })
            }
            _ => Err(errors),
        }
    }

    /// The public keys, or one key for each secret.
    fn keys(&self) -> Keys {
        if let Some((_, jwks)) = &self.jwks {
            return Keys { all: jwks.keys.clone(), by_id: true };
        }
        let key = |secret: &Secret| {
            let key = jwt::DecodingKey::from_secret(&self.secret_encoding.key(secret).ok()?);
            Some(Key { name: secret.name(), kid: None, algorithms: self.algorithms.clone(), key })
        };
        Keys { all: self.secrets.iter().filter_map(key).collect(), by_id: false }
    }

    /// What we make tokens with: the first secret, by the first algorithm.
    fn signer(&self) -> Option<Signer> {
        let algorithm = *self.algorithms.first().filter(|algorithm| algorithm.is_symmetric())?;
        let key: Zeroizing<Vec<u8>> = self.secret_encoding.key(self.secrets.first()?).ok()?;
        Some(Signer { algorithm, key: jwt::EncodingKey::from_secret(&key) })
    }

    /// What is allowed and worth a word at start, in words that follow the source's name.
    pub(super) fn warned(&self) -> Vec<String> {
        let mut warnings = repeated_secrets(SECRETS, self.secrets.iter());
        let longest = self.algorithms.iter().max_by_key(|algorithm| algorithm.secret_len());
        for (position, secret) in self.secrets.iter().enumerate() {
            let (Ok(key), Some(algorithm)) = (self.secret_encoding.key(secret), longest) else { continue };
            if key.len() < algorithm.secret_len() {
                warnings.push(format!(
                    "{SECRETS}[{position}] has {} bytes, and RFC 7518 wants {} for {algorithm}: make a longer one",
                    key.len(),
                    algorithm.secret_len()
                ));
            }
        }
        if let Some((file, jwks)) = &self.jwks {
            warnings.extend(jwks.left_out.iter().map(|why| format!("{JWKS_FILE} {}: {why}", file.display())));
            if self.wanted.issuers.is_empty() && self.wanted.audiences.is_empty() {
                warnings.push(
                    "neither issuer nor audience is set: every token that a key of jwks_file has signed for nobody in \
                     particular is taken"
                        .to_owned(),
                );
            }
        }
        warnings
    }
}
