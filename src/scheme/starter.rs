//! What a new source begins with: how it refers to the file of its secret, what that file may hold, and what of it the
//! sender has to be told.

use zeroize::Zeroizing;

use super::secret_encoding::WHSEC;
use crate::scheme::mac::BASE64;
use base64::Engine as _;

/// 32 bytes that nobody can guess, each time it is called.
pub(crate) type Random<'a> = &'a mut dyn FnMut() -> [u8; 32];

/// What a new source begins with.
#[derive(Default)]
pub(crate) struct Starter {
    /// The keys that refer to its secret, each as TOML.
    pub(crate) keys: Vec<(&'static str, String)>,
    /// What the file of the secret may hold; `None` where a source has none.
    pub(crate) secret: Option<Zeroizing<String>>,
    /// What the sender has to know besides the secret, by what it is called.
    pub(crate) told: Vec<(&'static str, String)>,
}

impl Starter {
    /// One whose `key` is a list of secrets: that in `file`, a path as TOML.
    pub(super) fn of_list(key: &'static str, file: &str, secret: Zeroizing<String>) -> Self {
        Self { keys: vec![(key, format!("[{{ file = {file} }}]"))], secret: Some(secret), told: Vec::new() }
    }

    /// The same, where the sender has to know `text` as `name`, too.
    pub(super) fn telling(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.told.push((name, text.into()));
        self
    }
}

/// A secret as hex digits, which fit into every form and every header.
pub(super) fn hex_secret(random: Random<'_>) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(*Zeroizing::new(random())))
}

/// A secret in the form of Standard Webhooks.
pub(crate) fn whsec(random: Random<'_>) -> Zeroizing<String> {
    Zeroizing::new(format!("{WHSEC}{}", BASE64.encode(*Zeroizing::new(random()))))
}
