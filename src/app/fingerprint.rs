//! What a sink was built from, in one number: two settings with the same fingerprint make the same sink.
//!
//! Secrets have no `==`, and are not kept for this: only the digest is. The content of files that the settings name
//! counts too, because the sink read it.

use sha2::{Digest as _, Sha256};

use crate::file::read_regular;
use crate::secret::Secret;
use crate::sink::Settings;

/// As much of a file as counts.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// SHA-256 over every key and secret. Never shown, never stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of `settings`. Blocking: reads the files they name.
    pub(super) fn of(settings: &Settings) -> Self {
        // Without `..`, so that a key that is added is not forgotten here.
        let Settings {
            name,
            kind,
            url,
            secret,
            token,
            subject,
            ca_file,
            proxies,
            timeout,
            concurrency,
            max_attempts,
            max_age,
            event_types,
        } = settings;
        let mut digest = FieldDigest(Sha256::new());
        digest.add(name.as_str());
        digest.add(kind);
        digest.add(url);
        digest.maybe(secret.as_ref().map(Secret::expose));
        digest.maybe(token.as_ref().map(Secret::expose));
        digest.maybe(subject.as_ref());
        digest.maybe(ca_file.as_ref().map(|file| file.as_os_str().as_encoded_bytes()));
        digest.maybe(ca_file.as_ref().and_then(|file| read_regular(file, MAX_FILE).ok()));
        digest.maybe(proxies.fingerprint());
        digest.add(format!("{timeout:?} {concurrency} {max_attempts} {max_age:?} {event_types:?}"));
        Self(digest.0.finalize().into())
    }
}

/// Fields that cannot run into each other: each with its length, absent ones unlike empty ones.
struct FieldDigest(Sha256);

impl FieldDigest {
    fn add(&mut self, field: impl AsRef<[u8]>) {
        self.0.update((field.as_ref().len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn maybe(&mut self, field: Option<impl AsRef<[u8]>>) {
        match field {
            None => self.0.update(u64::MAX.to_be_bytes()),
            Some(field) => self.add(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sink::Proxies;

    fn settings() -> Settings {
        Settings {
            name: "orders".into(),
            kind: "http".into(),
            url: "http://127.0.0.1:1/".into(),
            secret: None,
            token: None,
            subject: None,
            ca_file: None,
            proxies: Proxies::default(),
            timeout: Duration::from_secs(10),
            concurrency: 16,
            max_attempts: 12,
            max_age: Duration::from_hours(72),
            event_types: Vec::new(),
        }
    }

    #[test]
    fn every_key_every_secret_and_the_content_of_files_count() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "one").unwrap();
        let secret = |text: &str| Secret::token(text).ok();
        let changes: [&dyn Fn(&mut Settings); 15] = [
            &|_| {},
            &|s| s.name = "other".into(),
            &|s| s.kind = "nats".into(),
            &|s| s.url.push('x'),
            &|s| s.secret = secret("a"),
            &|s| s.secret = secret("b"),
            &|s| s.token = secret("a"),
            &|s| s.subject = Some("a".into()),
            &|s| s.ca_file = Some(file.clone()),
            &|s| s.proxies = Proxies::fixed("http://p:3128").unwrap(),
            &|s| s.proxies = Proxies::fixed("http://u:hunter2@p:3128").unwrap(),
            &|s| s.timeout *= 2,
            &|s| s.concurrency += 1,
            &|s| s.max_attempts += 1,
            &|s| s.event_types.push("a".into()),
        ];
        let print = |change: &dyn Fn(&mut Settings)| {
            let mut settings = settings();
            change(&mut settings);
            Fingerprint::of(&settings)
        };
        for (i, one) in changes.iter().enumerate() {
            for (j, other) in changes.iter().enumerate() {
                assert_eq!(print(one) == print(other), i == j, "{i} {j}");
            }
        }
        let before = print(changes[8]);
        std::fs::write(&file, "two").unwrap();
        assert!(before != print(changes[8]));
    }
}
