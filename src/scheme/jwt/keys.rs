//! The keys that verify: secrets, of which all are tried, or public keys, which tokens name.

use jsonwebtoken as jwt;

use super::algorithm::Algorithm;
use super::compact::{Compact, Header};
use super::fault::Fault;

/// One key. Never printed: it may be a secret.
#[derive(Clone)]
pub(super) struct Key {
    /// What logs call it.
    pub(super) name: String,
    /// By what tokens name it.
    pub(super) kid: Option<String>,
    /// What it verifies.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) material: jwt::DecodingKey,
}

/// The keys of a source.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) all: Vec<Key>,
    /// Whether a token's `kid` says which; secrets have none.
    pub(super) by_id: bool,
}

impl Keys {
    /// What logs call them.
    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|key| key.name.clone()).collect()
    }

    /// Positions of those that `algorithm` and `kid` let come into question.
    pub(super) fn candidates(&self, algorithm: Algorithm, header: &Header) -> Result<Vec<usize>, Fault> {
        let kid = header.kid.as_deref().filter(|_| self.by_id);
        if let Some(kid) = kid
            && !self.all.iter().any(|key| key.kid.as_deref() == Some(kid))
        {
            return Err(Fault::KeyUnknown(kid.to_owned()));
        }
        let fits = |key: &Key| key.algorithms.contains(&algorithm) && (kid.is_none() || key.kid.as_deref() == kid);
        let all = self.all.iter().enumerate();
        let candidates: Vec<usize> = all.filter(|(_, key)| fits(key)).map(|(position, _)| position).collect();
        if candidates.is_empty() { Err(Fault::KeyMisfit(kid.map(str::to_owned))) } else { Ok(candidates) }
    }

    /// Which of `candidates` made the signature of `token`. Each is tried: which one fits must not show in the time.
    pub(super) fn signer(&self, candidates: &[usize], algorithm: Algorithm, token: &Compact<'_>) -> Option<usize> {
        let keys = candidates.iter().filter_map(|position| Some((*position, self.all.get(*position)?)));
        keys.fold(None, |found, (position, key)| {
            let made = made_by(&key.material, algorithm, token);
            found.or(made.then_some(position))
        })
    }
}

/// Whether `key` made the signature of `token` with `algorithm`.
pub(super) fn made_by(key: &jwt::DecodingKey, algorithm: Algorithm, token: &Compact<'_>) -> bool {
    jwt::crypto::verify(token.signature, token.signed.as_bytes(), key, algorithm.theirs()).unwrap_or(false)
}
