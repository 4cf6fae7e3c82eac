//! What a sink was built from, in one number: two settings with the same fingerprint make the same sink.
//!
//! Secrets have no `==`, and are not kept for this: only the digest is. The content of files that the settings name
//! counts too, because the sink read it.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::file::read_regular;

/// As much of a file as counts.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// SHA-256 over every key and secret. Never shown, never stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

/// Parts that cannot run into each other: each with its length, absent ones told from empty ones.
#[derive(Default)]
pub(super) struct Parts(Sha256);

impl Parts {
    /// One that is always there.
    pub(super) fn add(&mut self, part: impl AsRef<[u8]>) {
        self.0.update((part.as_ref().len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// One that may be absent.
    pub(super) fn maybe(&mut self, part: Option<impl AsRef<[u8]>>) {
        match part {
            None => self.0.update(u64::MAX.to_be_bytes()),
            Some(part) => self.add(part),
        }
    }

    /// A file: its name and what it holds now. Blocking.
    pub(super) fn file(&mut self, file: Option<&Path>) {
        self.maybe(file.map(|file| file.as_os_str().as_encoded_bytes()));
        self.maybe(file.and_then(|file| read_regular(file, MAX_FILE).ok()));
    }

    /// All of them in one.
    pub(super) fn fingerprint(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}
