//! `handshake` of a source: which vendor's questions it answers, and what those must bring.

use serde_json::{Value as Json, json};
use toml::Value;

use crate::scheme::{self, Handshake, KeyIndex, Preset, Scheme, handshakes};
use crate::secret::Secret;
use crate::settings::kind::{Problems, problem, string};
use crate::settings::{Diagnostics, Example, Found, Kind, Table, key, secret};

const HANDSHAKE: &str = "handshake";
const TOKEN: &str = "handshake_token";
/// What stands there where none is answered.
const NONE: &str = "none";

/// The handshake of one source.
#[derive(Clone)]
pub struct HandshakeSettings {
    /// Which.
    pub row: &'static Handshake,
    /// What whoever asks must bring, where the row says so.
    pub token: Option<Secret>,
}

/// Reads it; what a handshake wants and does not have is an error.
pub(super) fn read(preset: &Preset, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<HandshakeSettings> {
    let doc = "How the vendor asks whether its events are wanted here. It is answered as the vendor documents it, after \
               the allowlist and whatever proves the sender, and never stored. See docs/connect/handshakes.md.";
    let named = preset.handshake.and_then(scheme::handshake);
    let row = key(HANDSHAKE, doc, HandshakeName).or(named, table, diagnostics);
    let token = secret(
        TOKEN,
        "The verify token that you name at the vendor, at least 16 bytes: a handshake without it is refused. Only, and \
         always, where the vendor's handshake has one.",
    )
    .example(Example::Off("{ file = \"/run/secrets/verify-token\" }"))
    .mac_key(table, diagnostics);
    let wanted = row.filter(|row| row.has_own_token());
    match (wanted, &token) {
        _ if table.is_faulty(HANDSHAKE, diagnostics) => {}
        (Some(row), Found::Unset) => {
            let problem = format!("is missing: handshake {:?} is answered only to who brings it", row.name);
            table.error(TOKEN, problem, diagnostics);
        }
        (None, Found::Value(_) | Found::Faulty) => {
            let problem = "no handshake of this source asks for one: remove it, or name the handshake that does";
            table.error(TOKEN, problem, diagnostics);
        }
        (Some(_), Found::Value(_) | Found::Faulty) | (None, Found::Unset) => {}
    }
    row.map(|row| HandshakeSettings { row, token: token.value() })
}

/// Whether `scheme` can make what the handshake is answered with.
pub(super) fn check(
    handshake: Option<&HandshakeSettings>,
    scheme: &dyn Scheme,
    table: &Table,
    diagnostics: &mut Diagnostics,
) {
    if let Some(HandshakeSettings { row, .. }) = handshake
        && row.wants_mac()
        && scheme.prove(KeyIndex(0), b"").is_none()
    {
        let problem =
            format!("{:?} is answered with an HMAC-SHA256, and this source verifies with something else", row.name);
        table.error(HANDSHAKE, problem, diagnostics);
    }
}

/// The name of a handshake, or `none`.
struct HandshakeName;

fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(NONE).chain(handshakes().map(|row| row.name))
}

impl Kind for HandshakeName {
    type Value = Option<&'static Handshake>;

    fn from_file(&self, value: Value) -> Result<Self::Value, Problems> {
        self.from_variable(string(&value, "a string")?)
    }

    fn from_variable(&self, text: &str) -> Result<Self::Value, Problems> {
        match scheme::handshake(text) {
            None if text != NONE => Err(problem(format!("expected {}, found {text:?}", self.expects()))),
            found => Ok(found),
        }
    }

    fn show(&self, value: &Self::Value) -> String {
        format!("{:?}", value.map_or(NONE, |row| row.name))
    }

    fn expects(&self) -> String {
        format!("one of {}", names().collect::<Vec<_>>().join(", "))
    }

    fn schema(&self) -> Json {
        json!({ "enum": names().collect::<Vec<_>>() })
    }
}
