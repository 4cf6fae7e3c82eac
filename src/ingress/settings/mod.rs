//! `[[source]]`: who sends, where to, and what is expected of it; of the file and of variables.

mod certificate_pin;
mod defaults;
mod handshake;
mod keep_headers;
mod kinds;
mod pins;
mod read;
mod rules;
mod source;
mod source_settings;
pub(crate) mod starter;

pub use self::certificate_pin::{CertificatePin, Identity};
pub(crate) use self::defaults::Surroundings;
pub use self::handshake::HandshakeSettings;
pub(crate) use self::read::read;
pub use self::rules::{IdRule, TypeRule};
pub use self::source_settings::SourceSettings;
