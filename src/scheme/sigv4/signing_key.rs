//! Signing keys of AWS Signature Version 4, derived from a secret and remembered by day; for verifier and signer.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>, step 4

use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::date::Day;
use crate::scheme::mac::{Algorithm, Key};

/// The last part of every scope and of every derivation.
pub(super) const TERMINATOR: &str = "aws4_request";

/// Where signatures count: part of the scope and of the derived key.
pub(super) struct Scope {
    /// AWS region.
    pub region: String,
    /// AWS service.
    pub service: String,
}

/// One secret, and the two signing keys made from it last.
///
/// Days come from requests inside the window, so there are two of them at most (around midnight); the cache cannot be
/// flushed by anyone who fails that check.
pub(super) struct SigningKeys {
    secret: Key,
    recent: Mutex<[Option<(Day, Key)>; 2]>,
}

impl SigningKeys {
    /// Keys derived from `secret`.
    pub(super) fn new(secret: &[u8]) -> Self {
        let prefixed = Zeroizing::new([b"AWS4", secret].concat());
        Self { secret: Key::new(&prefixed, Algorithm::Sha256), recent: Mutex::new([None, None]) }
    }

    /// The signing key of `day` in `scope`, which must be the same at each call.
    pub(super) fn of(&self, day: Day, scope: &Scope) -> Key {
        // Held for a look or a swap, never while deriving.
        let known = |recent: &[Option<(Day, Key)>; 2]| {
            recent.iter().flatten().find(|(known, _)| *known == day).map(|(_, key)| key.clone())
        };
        if let Some(key) = known(&self.recent.lock().unwrap_or_else(PoisonError::into_inner)) {
            return key;
        }
        let key = self.derive(day, scope);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if known(&recent).is_none() {
            recent.swap(0, 1);
            let [latest, ..] = &mut *recent;
            *latest = Some((day, key.clone()));
        }
        key
    }

    fn derive(&self, day: Day, scope: &Scope) -> Key {
        let dated = Key::from_mac(&self.secret.mac([day.as_slice()]));
        let regional = Key::from_mac(&dated.mac([scope.region.as_bytes()]));
        let serving = Key::from_mac(&regional.mac([scope.service.as_bytes()]));
        Key::from_mac(&serving.mac([TERMINATOR.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_key_is_the_derived_one() {
        let keys = SigningKeys::new(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let scope = Scope { region: "us-east-1".into(), service: "iam".into() };
        let hex = |day: &Day| keys.of(*day, &scope).mac([b"x".as_slice()]).to_hex();
        let days = [b"20150830", b"20150831", b"20150901"];
        let fresh: Vec<_> = days.iter().map(|day| keys.derive(**day, &scope).mac([b"x".as_slice()]).to_hex()).collect();
        for _ in 0..3 {
            for (day, expected) in days.iter().zip(&fresh) {
                assert_eq!(hex(day), *expected);
                assert_eq!(hex(day), *expected);
            }
        }
        assert_ne!(fresh[0], fresh[1]);
        assert_eq!(keys.recent.lock().unwrap().iter().flatten().count(), 2, "bounded");
    }
}
