//! What `client_certificates` of a source may hold: pins, each a table of its own.

use serde_json::{Value as Json, json};
use toml::{Table, Value};

use super::{CertificatePin, Identity};
use crate::settings::kind::{Problems, expected, problem};
use crate::settings::{Kind, grammar};

/// A list of pins, at least one, none twice.
pub(super) struct Pins;

/// Hex digits of a SHA-256.
const HASH_DIGITS: usize = 64;

impl Pins {
    fn pin(entry: Value) -> Result<CertificatePin, Problems> {
        let Value::Table(mut table) = entry else {
            return Err(expected("{ spki_sha256 = \"…\" } or { san = \"dns:…\" }", &entry));
        };
        let mut problems = Problems::new();
        let mut take = |key: &str| match table.remove(key) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                problems.extend(at(key, expected("a string", &other)));
                None
            }
        };
        let (hash, name, label) = (take("spki_sha256"), take("san"), take("label"));
        unknown(&table, &mut problems);
        let label =
            label.and_then(|text| grammar::label(&text).map_err(|why| problems.extend(at("label", problem(why)))).ok());
        let identity = match (hash, name) {
            (Some(text), None) => spki(&text).map_err(|why| problems.extend(at("spki_sha256", problem(why)))).ok(),
            (None, Some(text)) => match text.parse() {
                Ok(name) => Some(Identity::San(name)),
                Err(why) => {
                    problems.extend(at("san", problem(format!("{why}"))));
                    None
                }
            },
            (Some(_), Some(_)) => {
                problems.extend(problem("names spki_sha256 and san: a pin is one of them, make two of it"));
                None
            }
            (None, None) => {
                if problems.is_empty() {
                    problems.extend(problem("names nobody: it needs spki_sha256 or san"));
                }
                None
            }
        };
        match identity {
            Some(identity) if problems.is_empty() => Ok(CertificatePin { identity, label }),
            _ => Err(problems),
        }
    }

    fn written(pin: &CertificatePin) -> String {
        let label = pin.label.as_ref().map(|label| format!(", label = {label:?}")).unwrap_or_default();
        match &pin.identity {
            Identity::SpkiSha256(hash) => format!("{{ spki_sha256 = \"{}\"{label} }}", hex::encode(hash)),
            Identity::San(name) => format!("{{ san = {:?}{label} }}", name.to_string()),
        }
    }
}

impl Kind for Pins {
    type Value = Vec<CertificatePin>;

    fn from_file(&self, value: Value) -> Result<Vec<CertificatePin>, Problems> {
        let Value::Array(list) = value else { return Err(expected("a list of pins", &value)) };
        if list.is_empty() {
            let why = "is empty, which lets nobody in: name certificates, or leave it out where none is needed";
            return Err(problem(why));
        }
        let (mut pins, mut problems) = (Vec::<CertificatePin>::new(), Problems::new());
        for (index, entry) in list.into_iter().enumerate() {
            let within = |(key, why): (String, String)| (format!("[{index}]{key}"), why);
            match Self::pin(entry) {
                Ok(pin) => {
                    if pins.iter().any(|earlier| earlier.identity == pin.identity) {
                        problems.extend(
                            problem("stands twice: taking one away would change nothing").into_iter().map(within),
                        );
                    } else if pins.iter().any(|earlier| earlier.name() == pin.name()) {
                        let why = format!(
                            "another one is called {} too: logs and metrics could not tell them apart",
                            pin.name()
                        );
                        problems.extend(problem(why).into_iter().map(within));
                    }
                    pins.push(pin);
                }
                Err(found) => problems.extend(found.into_iter().map(within)),
            }
        }
        if problems.is_empty() { Ok(pins) } else { Err(problems) }
    }

    fn from_variable(&self, _: &str) -> Result<Vec<CertificatePin>, Problems> {
        Err(problem("stands in the file alone"))
    }

    fn show(&self, value: &Vec<CertificatePin>) -> String {
        format!("[{}]", value.iter().map(Self::written).collect::<Vec<_>>().join(", "))
    }

    fn expects(&self) -> String {
        "a list of { spki_sha256 = \"64 hex digits\" } and { san = \"dns:…\", \"uri:…\" or \"email:…\" }, each perhaps with a label"
            .to_owned()
    }

    fn schema(&self) -> Json {
        let label = json!({ "type": "string" });
        let pin = |key: &str, value: Json| {
            json!({
                "type": "object",
                "properties": { key: value, "label": label },
                "required": [key],
                "additionalProperties": false
            })
        };
        let hash = json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" });
        let name = json!({ "type": "string", "pattern": "^(dns|uri|email):." });
        json!({ "type": "array", "minItems": 1, "items": { "oneOf": [pin("spki_sha256", hash), pin("san", name)] } })
    }
}

fn at(key: &str, problems: Problems) -> impl Iterator<Item = (String, String)> {
    problems.into_iter().map(move |(within, why)| (format!(".{key}{within}"), why))
}

fn unknown(table: &Table, problems: &mut Problems) {
    for key in table.keys() {
        problems.push((format!(".{key}"), "unknown key: a pin has spki_sha256 or san, and label".to_owned()));
    }
}

/// Hex digits of either case, nothing between them.
fn spki(text: &str) -> Result<Identity, &'static str> {
    if text.contains(':') {
        return Err("expected 64 hex digits without colons, of the public key and not of the certificate");
    }
    if text.len() != HASH_DIGITS {
        return Err("expected 64 hex digits: SHA-256 of the public key (SubjectPublicKeyInfo, DER)");
    }
    let mut hash = [0; HASH_DIGITS / 2];
    hex::decode_to_slice(text, &mut hash).map_err(|_| "expected hex digits only")?;
    Ok(Identity::SpkiSha256(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<CertificatePin>, Problems> {
        Pins.from_file(format!("a = {text}").parse::<Table>().unwrap()["a"].clone())
    }

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn pins_are_keys_and_names_and_are_written_as_they_are_read() {
        let text = format!(
            "[{{ spki_sha256 = \"{HEX}\" }}, {{ san = \"dns:a.example\", label = \"tenant-a\" }}, {{ san = \"uri:spiffe://a/*\" }}, {{ san = \"email:a@b\" }}]"
        );
        let pins = read(&text).unwrap();
        assert_eq!(Pins.show(&pins), text);
        let names: Vec<String> = pins.iter().map(CertificatePin::name).collect();
        assert_eq!(names, ["spki:0011223344556677", "tenant-a", "uri:spiffe://a/*", "email:a@b"]);
        assert_eq!(
            read(&format!("[{{ spki_sha256 = '{}' }}]", HEX.to_uppercase())).unwrap()[0],
            pins[0],
            "either case"
        );
    }

    #[test]
    fn what_could_never_match_or_matches_everybody_is_an_error_in_its_place() {
        for (wrong, place, why) in [
            ("'dns:a'", "", "expected a list of pins, found a string"),
            ("[]", "", "is empty, which lets nobody in"),
            ("['dns:a']", "[0]", "expected { spki_sha256"),
            ("[{}]", "[0]", "names nobody"),
            ("[{ label = 'a' }]", "[0]", "names nobody"),
            ("[{ san = 1 }]", "[0].san", "expected a string"),
            ("[{ san = '' }]", "[0].san", "expected \"dns:NAME\""),
            ("[{ san = 'a.example' }]", "[0].san", "expected \"dns:NAME\""),
            ("[{ san = 'dns:*.example' }]", "[0].san", "wildcard"),
            ("[{ san = 'dns:a', sn = 'dns:b' }]", "[0].sn", "unknown key: a pin has"),
            ("[{ san = 'dns:a', label = 'a b' }]", "[0].label", "expected a label"),
            ("[{ san = 'dns:a' }, { san = 'dns:a', label = 'x' }]", "[1]", "stands twice"),
            ("[{ san = 'dns:a', label = 'x' }, { san = 'dns:b', label = 'x' }]", "[1]", "called x too"),
            ("[{ spki_sha256 = 'AA:BB' }]", "[0].spki_sha256", "without colons"),
            ("[{ spki_sha256 = '00' }]", "[0].spki_sha256", "expected 64 hex digits"),
            ("[{ spki_sha256 = ' ' }]", "[0].spki_sha256", "expected 64 hex digits"),
        ] {
            let problems = read(wrong).unwrap_err();
            assert_eq!(problems.len(), 1, "{wrong}: {problems:?}");
            assert!(problems[0].0 == place && problems[0].1.contains(why), "{wrong}: {problems:?}");
        }
        let both = format!("[{{ spki_sha256 = '{HEX}', san = 'dns:a' }}, {{ spki_sha256 = '{}g' }}]", &HEX[1..]);
        let places: Vec<String> = read(&both).unwrap_err().into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, ["[0]", "[1].spki_sha256"], "every one at once");
    }
}
