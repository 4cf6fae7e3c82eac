//! Sessions of those who signed in: known by a random id of which only the hash is kept, bounded in number and time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::credentials::{Credential, Credentials};

/// How long one lasts.
pub(super) const LIFETIME: Duration = Duration::from_hours(12);
/// Most at once; one more ends the oldest.
const MOST: usize = 64;

/// The sessions of this process.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    of: Credential,
    until: Instant,
}

impl Sessions {
    /// Begins a session of `credential` and gives its id, which is always a new one: 256 bits in hex. `None` where the
    /// system has no randomness.
    pub(super) fn begin(&self, credential: &Credential) -> Option<String> {
        let mut id = [0; 32];
        aws_lc_rs::default_provider().secure_random.fill(&mut id).ok()?;
        let id = hex::encode(id);
        let now = Instant::now();
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.until > now);
        if sessions.len() >= MOST {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.until).map(|(key, _)| *key);
            oldest.and_then(|key| sessions.remove(&key));
        }
        sessions.insert(key(&id), Session { of: credential.clone(), until: now + LIFETIME });
        Some(id)
    }

    /// Who began session `id`, where it goes on and their token is still among `credentials`.
    pub(super) fn of(&self, id: &str, credentials: &Credentials) -> Option<Credential> {
        let key = key(id);
        let mut sessions = self.lock();
        let session = sessions.get(&key)?;
        if session.until > Instant::now() && credentials.still_hold(&session.of) {
            return Some(session.of.clone());
        }
        sessions.remove(&key);
        None
    }

    /// Ends session `id`.
    pub(super) fn end(&self, id: &str) {
        self.lock().remove(&key(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        // Every change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looked up by its hash: the time that takes tells nothing of an id.
fn key(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::settings::Access;
    use crate::secret::Secret;

    fn credentials(token: &str) -> Credentials {
        Credentials::new(&Access { token: Secret::token(token).ok(), named: Vec::new() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_itself_by_sign_out_and_with_its_token() {
        let (sessions, all) = (Sessions::default(), credentials("a-token"));
        let admin = all.of_token(b"a-token").unwrap();
        let begin = || sessions.begin(admin).unwrap();
        let (first, second, third) = (begin(), begin(), begin());
        assert!(first != second && first.len() == 64);
        assert!(sessions.of(&first, &all).is_some());
        assert!(sessions.of("", &all).is_none() && sessions.of(&first.to_uppercase(), &all).is_none());
        sessions.end(&first);
        assert!(sessions.of(&first, &all).is_none());
        assert!(sessions.of(&second, &credentials("another")).is_none());
        assert!(sessions.of(&second, &all).is_none(), "it does not come back with the old token");
        tokio::time::advance(LIFETIME).await;
        assert!(sessions.of(&third, &all).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_ends_the_oldest() {
        let (sessions, all) = (Sessions::default(), credentials("a-token"));
        let mut ids = Vec::new();
        for _ in 0..=MOST {
            ids.push(sessions.begin(all.of_token(b"a-token").unwrap()).unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(sessions.of(&ids[0], &all).is_none());
        assert!(ids[1..].iter().all(|id| sessions.of(id, &all).is_some()));
    }
}
