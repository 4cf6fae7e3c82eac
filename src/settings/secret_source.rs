//! Looks secrets up: in variables, in the files that variables or the configuration name, in the configuration itself.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::diagnostics::Diagnostics;
use super::environment::says_something;
use super::secret_ref::SecretRef;
use crate::file::read_regular;
use crate::secret::{MIN_BYTES, Secret, WeakSecret};

/// The largest file that is taken for a secret; a certificate bundle or a log in its place is a mistake.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// The origin of what stands in the file as a plain string.
pub(crate) const THE_FILE: &str = "the file";

/// The bytes of a secret before they are accepted, and where they came from.
pub(crate) struct Raw {
    /// As found, one trailing newline of a file removed.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// In words, without the value.
    pub(crate) origin: String,
}

/// What became of looking something up.
pub(crate) enum Lookup {
    /// It is not set.
    Unset,
    /// It is set and wrong; the error is recorded.
    Faulty,
    /// Here it is.
    Found(Raw),
}

impl Diagnostics<'_> {
    /// Whether variable `name` or its `_FILE` form is set.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.vars.contains_key(name) || self.vars.contains_key(&format!("{name}_FILE"))
    }

    /// The value of variable `name`, or of the file that `name` with `_FILE` appended names.
    pub(crate) fn secret_variable(&mut self, name: &str) -> Lookup {
        let file_name = format!("{name}_FILE");
        let set = |name: &str| self.vars.get(name).filter(|value| says_something(name, value));
        match (set(name), set(&file_name)) {
            (None, None) => Lookup::Unset,
            (Some(_), Some(_)) => {
                self.error(name, format!("{name} and {file_name} are both set: unset one"));
                Lookup::Faulty
            }
            (Some(value), None) => {
                let bytes = Zeroizing::new(value.clone().into_bytes());
                Lookup::Found(Raw { bytes, origin: format!("variable {name}") })
            }
            (None, Some(path)) if path.is_empty() => {
                self.error(file_name, "is set but empty: give the path of a file, or unset it");
                Lookup::Faulty
            }
            (None, Some(path)) => self.file(&file_name, Path::new(path)).map_or(Lookup::Faulty, Lookup::Found),
        }
    }

    /// What `reference`, which stands at `at`, refers to.
    pub(crate) fn resolve(&mut self, at: &str, reference: SecretRef) -> Option<Raw> {
        match reference {
            SecretRef::Env(name) => {
                let looked_up = self.secret_variable(&name);
                self.referenced.insert(name.clone());
                match looked_up {
                    Lookup::Found(raw) => Some(raw),
                    Lookup::Faulty => None,
                    Lookup::Unset => {
                        self.error(at, format!("the variable {name} is not set (nor is {name}_FILE)"));
                        None
                    }
                }
            }
            SecretRef::File(path) => self.file(at, &path),
            SecretRef::Value(value) => {
                self.inline.push(at.to_owned());
                let bytes = Zeroizing::new(value.as_bytes().to_vec());
                Some(Raw { bytes, origin: "value in the file".to_owned() })
            }
            SecretRef::Plain(value) => {
                let bytes = Zeroizing::new(value.as_bytes().to_vec());
                Some(Raw { bytes, origin: THE_FILE.to_owned() })
            }
        }
    }

    /// Takes `raw` as a secret that keys a MAC, leaving its origin; errors are told at `at`.
    pub(crate) fn mac_key(&mut self, at: &str, raw: &mut Raw) -> Option<Secret> {
        let secret = Secret::new(std::mem::take(&mut *raw.bytes));
        self.accepted(at, &raw.origin, secret)
    }

    /// Takes `raw` as a credential that is sent or compared as it stands; errors are told at `at`.
    pub(crate) fn token(&mut self, at: &str, raw: &mut Raw) -> Option<Secret> {
        let secret = Secret::token(std::mem::take(&mut *raw.bytes));
        self.accepted(at, &raw.origin, secret)
    }

    /// A token that stands in an HTTP header, so that it must fit into one.
    pub(crate) fn bearer(&mut self, at: &str, raw: &mut Raw) -> Option<Secret> {
        let token = self.token(at, raw)?;
        if !token.expose().iter().all(u8::is_ascii_graphic) {
            self.error(at, "the token holds blanks, line breaks or other bytes that cannot stand in a header");
            return None;
        }
        Some(token)
    }

    /// Warns about a token that is ours to choose and too short to withstand guessing.
    pub(crate) fn warn_if_short(&mut self, at: &str, token: &Secret) {
        if token.expose().len() < MIN_BYTES {
            self.warn(format!("{at}: the token is shorter than {MIN_BYTES} bytes and may be guessed"));
        }
    }

    fn file(&mut self, at: &str, path: &Path) -> Option<Raw> {
        self.files.insert(path.to_owned());
        match read_secret(path) {
            Ok(bytes) => Some(Raw { bytes, origin: format!("file {}", path.display()) }),
            Err(error) => {
                self.error(at, format!("cannot read the secret from {}: {error}", path.display()));
                None
            }
        }
    }

    fn accepted(&mut self, at: &str, origin: &str, secret: Result<Secret, WeakSecret>) -> Option<Secret> {
        let told = origin.strip_prefix("variable ").is_some_and(|variable| at.starts_with(variable));
        let origin = if told { String::new() } else { format!(" ({origin})") };
        match secret {
            Ok(secret) => {
                if let Some(oddity) = secret.oddity() {
                    self.warn(format!(
                        "{at}: the secret {oddity}{origin}, which counts as part of it: if that was not meant, write it anew without"
                    ));
                }
                Some(secret)
            }
            Err(weak) => {
                let put = if matches!(weak, WeakSecret::Empty | WeakSecret::Blank) && origin.contains("(file ") {
                    ": put it there"
                } else {
                    ""
                };
                self.error(at, format!("{weak}{origin}{put}"));
                None
            }
        }
    }
}

/// Reads a secret's file; one trailing newline, which editors and `echo` add, is not part of it. Whatever else stands
/// there is, and is warned about where it was hardly meant.
fn read_secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(read_regular(path, MAX_SECRET_FILE)?);
    bytes.pop_if(|last| *last == b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    const KEY: &str = "a-secret-of-sufficient-length";

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn exactly_one_trailing_newline_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for (content, expected) in
            [("k", "k"), ("k\n", "k"), ("k\n\n", "k\n"), ("k\r\n", "k\r"), ("k \n", "k "), ("\n", "")]
        {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read_secret(&path).unwrap().as_slice(), expected.as_bytes());
        }
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        std::fs::write(&path, vec![b'x'; 64 * 1024 + 1]).unwrap();
        assert!(read_secret(&path).is_err());
        assert!(read_secret(dir.path()).is_err());
    }

    #[test]
    fn a_variable_and_its_file_exclude_each_other() {
        let vars = vars(&[("S", KEY), ("S_FILE", "/nowhere")]);
        let mut diagnostics = Diagnostics::new(&vars);
        assert!(matches!(diagnostics.secret_variable("S"), Lookup::Faulty));
        assert!(diagnostics.errors[0].to_string().contains("S_FILE"));
        assert!(matches!(diagnostics.secret_variable("T"), Lookup::Unset));
    }

    #[test]
    fn a_missing_file_is_named_and_watched() {
        let vars = vars(&[("S_FILE", "/nowhere/secret")]);
        let mut diagnostics = Diagnostics::new(&vars);
        assert!(diagnostics.resolve("k", SecretRef::Env("S".into())).is_none());
        assert_eq!(diagnostics.errors[0].at, "S_FILE");
        assert!(diagnostics.errors[0].problem.contains("/nowhere/secret"));
        assert!(diagnostics.files.contains(Path::new("/nowhere/secret")));
    }

    #[test]
    fn weak_secrets_are_told_without_their_value() {
        let vars = vars(&[("S", "hunter2")]);
        let mut diagnostics = Diagnostics::new(&vars);
        let mut raw = diagnostics.resolve("source[0].secrets[1]", SecretRef::Env("S".into())).unwrap();
        assert!(diagnostics.mac_key("source[0].secrets[1]", &mut raw).is_none());
        let told = diagnostics.errors[0].to_string();
        assert!(told.starts_with("source[0].secrets[1]: ") && told.contains("variable S"), "{told}");
        assert!(!told.contains("hunter2"));
    }

    #[test]
    fn odd_ends_of_a_secret_are_kept_and_warned_about_without_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let vars = BTreeMap::new();
        for (content, words) in [
            (format!("{KEY}\r\n"), "carriage return"),
            (format!("{KEY}\n\n"), "line end"),
            (format!("{KEY} \n"), "ends with a blank"),
            (format!("\u{feff}{KEY}\n"), "byte-order mark"),
        ] {
            std::fs::write(&path, &content).unwrap();
            let mut diagnostics = Diagnostics::new(&vars);
            let mut raw = diagnostics.resolve("k", SecretRef::File(path.clone())).unwrap();
            let secret = diagnostics.mac_key("k", &mut raw).unwrap();
            assert_eq!(secret.expose(), content.strip_suffix('\n').unwrap().as_bytes());
            let [warning] = diagnostics.warnings.as_slice() else { panic!("one warning: {:?}", diagnostics.warnings) };
            assert!(warning.starts_with("k: ") && warning.contains(words) && !warning.contains(KEY), "{warning}");
        }
    }

    #[test]
    fn a_bearer_token_fits_into_a_header() {
        let vars = vars(&[("GOOD", "t0ken"), ("BAD", "two\nlines")]);
        let mut diagnostics = Diagnostics::new(&vars);
        for (name, fits) in [("GOOD", true), ("BAD", false)] {
            let mut raw = diagnostics.resolve("t", SecretRef::Env(name.into())).unwrap();
            assert_eq!(diagnostics.bearer("t", &mut raw).is_some(), fits, "{name}");
        }
    }
}
