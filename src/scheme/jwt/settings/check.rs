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
use crate::scheme::token_place::{Coding, NO_FORMAT, NO_HEADER, TOKEN_FORMAT, TOKEN_HEADER};
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
        let mut errors: Vec<ConfigError> = self.check_keys().into_iter().collect();
        let mut error = |at: &str, problem: &str| errors.push(ConfigError::new(at, problem));
        if self.place.header.is_none() {
            error(TOKEN_HEADER, NO_HEADER);
        }
        match &self.place.format {
            None => error(TOKEN_FORMAT, NO_FORMAT),
            Some(format) if format.coding() == Coding::Basic => {
                error(TOKEN_FORMAT, "holds {basic}, and a JSON Web Token stands as it is: write {token}");
            }
            Some(_) => {}
        }
        for problem in repeated_labels(self.secrets.iter()) {
            error(SECRETS, &problem);
        }
        for (position, secret) in self.secrets.iter().enumerate() {
            if let Err(problem) = self.secret_encoding.key(secret) {
                error(&format!("{SECRETS}[{position}]"), &problem);
            }
        }
        errors
    }

    /// Whether the keys are there that go with the algorithms, and no others.
    fn check_keys(&self) -> Option<ConfigError> {
        let (symmetric, others): (Vec<Algorithm>, Vec<Algorithm>) =
            self.algorithms.iter().partition(|algorithm| algorithm.is_symmetric());
        let (secret, public) = (names(&symmetric), names(&others));
        let (at, problem) = match (
            symmetric.is_empty(),
            others.is_empty(),
            self.jwks.is_some(),
            self.secrets.is_empty(),
        ) {
            (true, true, ..) => (ALGORITHMS, "is empty, so that no token would be taken: name at least one".to_owned()),
            (false, false, ..) => (
                ALGORITHMS,
                format!(
                    "mixes {secret}, which a secret verifies, with {public}, which a public key verifies: whoever has \
                     the public key could sign with it as a secret; make two sources of it"
                ),
            ),
            (_, _, true, false) => (
                JWKS_FILE,
                "stands beside secrets, and a source takes one or the other: make two sources of it".to_owned(),
            ),
            (false, true, true, true) => {
                (ALGORITHMS, format!("{secret} goes with secrets, and jwks_file holds public keys"))
            }
            (false, true, false, true) => {
                (SECRETS, "is missing: name at least one, [{ file = \"/run/secrets/name\" }]".to_owned())
            }
            (true, false, false, false) => {
                (ALGORITHMS, format!("{public} goes with jwks_file, and secrets are no public keys"))
            }
            (true, false, false, true) => {
                (JWKS_FILE, "is missing: name the file with the sender's public keys, a JWKS".to_owned())
            }
            (false, true, false, false) | (true, false, true, true) => return None,
        };
        Some(ConfigError::new(at, problem))
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
            let material = jwt::DecodingKey::from_secret(&self.secret_encoding.key(secret).ok()?);
            Some(Key { name: secret.name(), kid: None, algorithms: self.algorithms.clone(), material })
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
