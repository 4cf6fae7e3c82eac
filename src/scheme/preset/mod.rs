//! The presets: what each vendor's documentation says, as rows of a table. Adding a vendor that signs with HMAC is
//! adding a row, and the answer that is known of it as a test.

mod blank;
mod contact_centres;
mod handshakes;
mod row;
mod services;
mod signed;
mod unsigned;

pub use self::handshakes::{Asked, Echo, Handshake, Place, Proof};
pub(crate) use self::row::SecretOrigin;
pub use self::row::{Answer, BodyFormat, Preset};

/// Every preset.
pub fn presets() -> impl Iterator<Item = &'static Preset> {
    let groups = [signed::ROWS.as_slice(), &unsigned::ROWS, &contact_centres::ROWS, &services::ROWS, &blank::ROWS];
    groups.into_iter().flatten()
}

/// The preset called `name`.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Preset> {
    presets().find(|row| row.name == name)
}

/// Every handshake.
pub fn handshakes() -> impl Iterator<Item = &'static Handshake> {
    handshakes::ROWS.iter()
}

/// The handshake called `name`.
#[must_use]
pub fn handshake(name: &str) -> Option<&'static Handshake> {
    handshakes().find(|row| row.name == name)
}

#[cfg(test)]
mod tests;
