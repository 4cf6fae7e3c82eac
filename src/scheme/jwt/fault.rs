//! Why a token is not believed. Senders learn none of it; the doctor puts it into words.

use crate::clock::UnixSeconds;

/// What keeps a text from being a signed token at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Malformed {
    /// Longer than is read, bytes.
    TooLong(usize),
    /// Not three parts between dots, but so many.
    Parts(usize),
    /// A part, by its name, that is not base64url (RFC 7515, section 2).
    NotBase64(&'static str),
    /// A part, by its name, that is not one JSON object with every name once.
    NotAnObject(&'static str),
    /// There is no signature.
    Unsigned,
}

/// One thing that is wrong with a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It is none.
    Malformed(Malformed),
    /// A member of the header that asks for something that is never done, or is no string.
    Header(&'static str),
    /// An algorithm that is not pinned.
    Algorithm(String),
    /// No key has this id.
    KeyUnknown(String),
    /// No key, or not the one with this id, goes with the algorithm.
    KeyMisfit(Option<String>),
    /// `exp` is missing.
    Endless,
    /// A claim, by its name, that is no time in seconds, and how it is spelled.
    NotATime(&'static str, String),
    /// It ended then.
    Expired(UnixSeconds),
    /// It is not valid before then.
    NotYet(UnixSeconds),
    /// It says that it was made then.
    Future(UnixSeconds),
    /// Another issuer, or none.
    Issuer(Option<String>),
    /// Other audiences, or none.
    Audience(Vec<String>),
    /// None of the keys that come into question made the signature.
    Signature,
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}
