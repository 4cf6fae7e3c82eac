//! The tokens that let somebody in, and whether one of them was borne.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::admin::settings::{Access, OWNER, Role};
use crate::event::Name;
use crate::secret::Secret;

/// RFC 6750 2.1; the scheme's name is case-insensitive (RFC 9110 11.1).
const SCHEME: &[u8] = b"bearer";

/// Every token, hashed: equal lengths, so that comparing tells nothing by its time.
#[derive(Clone, Default)]
pub(crate) struct Credentials(Vec<Credential>);

/// One token and who bears it.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) name: Name,
    pub(super) role: Role,
    hash: TokenHash,
}

/// SHA-256 of a token. No `PartialEq`, so that no `==` can reach it.
#[derive(Clone, Copy)]
struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn is(self, other: Self) -> bool {
        bool::from(self.0.ct_eq(&other.0))
    }
}

impl Credential {
    fn new(name: Name, role: Role, token: &Secret) -> Self {
        Self { name, role, hash: TokenHash::of(token.expose()) }
    }

    /// Whether `other` is the same token of the same person, who may the same.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.role == other.role && self.hash.is(other.hash)
    }
}

impl Credentials {
    pub(crate) fn new(access: &Access) -> Self {
        let owner = access.token.iter().map(|token| Credential::new(OWNER.into(), Role::Operator, token));
        let named = access.named.iter().map(|named| Credential::new(named.name.clone(), named.role, &named.token));
        Self(owner.chain(named).collect())
    }

    /// Whether there is none, so that everybody who reaches the listener is let in.
    pub(super) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Who bears `token`. Every token is compared, whatever the outcome of the first.
    pub(super) fn of_token(&self, token: &[u8]) -> Option<&Credential> {
        let given = TokenHash::of(token);
        self.0.iter().fold(None, |found, credential| if credential.hash.is(given) { Some(credential) } else { found })
    }

    /// Who the one `Authorization` says.
    pub(super) fn of_bearer(&self, headers: &HeaderMap) -> Option<&Credential> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let (scheme, given) = line.as_bytes().split_at_checked(SCHEME.len())?;
        let given = given.strip_prefix(b" ").filter(|_| scheme.eq_ignore_ascii_case(SCHEME))?;
        self.of_token(given.trim_ascii_start())
    }

    /// Whether `before` still stands as it did when somebody signed in with it.
    pub(super) fn still_hold(&self, before: &Credential) -> bool {
        self.0.iter().any(|now| now.is(before))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn credentials() -> Credentials {
        Credentials::new(&Access { token: Secret::token("a-token").ok(), named: Vec::new() })
    }

    fn allowed(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        credentials().of_bearer(&headers).is_some()
    }

    #[test]
    fn only_the_one_bearer_of_the_whole_token_is_let_in() {
        for good in ["Bearer a-token", "bearer a-token", "BEARER   a-token"] {
            assert!(allowed(&[good]), "{good}");
        }
        for bad in [
            "",
            "a-token",
            "Bearer",
            "Bearer ",
            "Bearera-token",
            "Basic a-token",
            "Bearer a-toke",
            "Bearer a-tokenx",
            "Bearer A-token",
            "Bearer a-token a-token",
            "Bearer\ta-token",
        ] {
            assert!(!allowed(&[bad]), "{bad:?}");
        }
        assert!(!allowed(&[]));
        assert!(!allowed(&["Bearer a-token", "Bearer a-token"]), "twice is not once");
    }

    #[test]
    fn a_credential_holds_as_long_as_nothing_of_it_changes() {
        let of = |token: &str, role| {
            let named = vec![crate::admin::settings::NamedToken {
                name: "ann".into(),
                role,
                token: Secret::token(token).unwrap(),
            }];
            Credentials::new(&Access { token: None, named })
        };
        let before = of("one", Role::Operator);
        let ann = before.of_token(b"one").unwrap();
        assert!(of("one", Role::Operator).still_hold(ann));
        assert!(!of("two", Role::Operator).still_hold(ann));
        assert!(!of("one", Role::Viewer).still_hold(ann));
        assert!(!Credentials::default().still_hold(ann));
    }
}
