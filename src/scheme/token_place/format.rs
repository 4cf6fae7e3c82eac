//! How a token stands in its header: `Bearer {token}`, `{token}`, `Basic {basic}`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::scheme::Challenge;

/// What a header holds around the token, and how the token is written there. Compared by what it means.
#[derive(Clone)]
pub(in crate::scheme) struct Format {
    text: Box<str>,
    /// The authentication scheme, whose case does not matter (RFC 9110, section 11.1).
    word: Option<Box<str>>,
    before: Box<str>,
    after: Box<str>,
    coding: Coding,
}

/// How the secret is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::scheme) enum Coding {
    /// `{token}`: as it is.
    Plain,
    /// `{basic}`: `user:password` in base64 (RFC 7617, section 2).
    Basic,
}

impl Format {
    /// Reads `text`.
    ///
    /// # Errors
    /// What was expected.
    pub(in crate::scheme) fn parse(text: &str) -> Result<Self, String> {
        let wanted = || format!("expected {{token}} or {{basic}} once, with text around it, found {text:?}");
        let parts = [("{token}", Coding::Plain), ("{basic}", Coding::Basic)]
            .into_iter()
            .find_map(|(name, coding)| text.split_once(name).map(|(before, after)| (before, after, coding)));
        let (before, after, coding) = parts.ok_or_else(wanted)?;
        let fits = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !b"{}".contains(&byte);
        if !before.bytes().chain(after.bytes()).all(fits) {
            return Err(wanted());
        }
        // What stands around a header's value is no part of it (RFC 9110, section 5.5).
        if before.starts_with(' ') || after.ends_with(' ') {
            return Err("begins or ends with a blank, which no header's value does".to_owned());
        }
        let (word, before) = match before.split_once(' ') {
            Some((word, rest)) => (Some(word.into()), rest.trim_start_matches(' ')),
            None => (None, before),
        };
        Ok(Self { text: text.into(), word, before: before.into(), after: after.into(), coding })
    }

    /// How the secret is written.
    pub(in crate::scheme) const fn coding(&self) -> Coding {
        self.coding
    }

    /// The authentication scheme before it.
    pub(in crate::scheme) fn word(&self) -> Option<&str> {
        self.word.as_deref()
    }

    /// What else stands before it.
    pub(in crate::scheme) fn before(&self) -> &str {
        &self.before
    }

    /// How a request without a good token is asked for one.
    pub(in crate::scheme) fn challenge(&self) -> Challenge {
        let is = |wanted: &str| self.word().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        match self.coding {
            Coding::Basic if is("basic") => Challenge::Basic,
            Coding::Plain if is("bearer") => Challenge::Bearer,
            Coding::Basic | Coding::Plain => Challenge::Signature,
        }
    }

    /// The secret that stands in a header's `value`; `None` where it is not written so.
    pub(in crate::scheme) fn read(&self, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let value = match &self.word {
            None => value,
            Some(word) => {
                let (given, rest) = value.split_at_checked(word.len())?;
                let behind = rest.trim_ascii_start();
                // RFC 9110, section 11.4: blanks, and nothing else, part the two.
                let gap = rest.get(..rest.len().saturating_sub(behind.len()))?;
                let parted = !gap.is_empty() && gap.iter().all(|byte| *byte == b' ');
                (parted && given.eq_ignore_ascii_case(word.as_bytes())).then_some(behind)?
            }
        };
        let coded = value.strip_prefix(self.before.as_bytes())?.strip_suffix(self.after.as_bytes())?;
        if coded.is_empty() {
            return None;
        }
        match self.coding {
            Coding::Plain => Some(Zeroizing::new(coded.to_vec())),
            // Padded and canonical, in the one alphabet: RFC 7617 has no other form.
            Coding::Basic => STANDARD.decode(coded).ok().map(Zeroizing::new),
        }
    }

    /// `secret` as it stands in the placeholder.
    pub(in crate::scheme) fn coded(&self, secret: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self.coding {
            Coding::Plain => secret.to_vec(),
            Coding::Basic => STANDARD.encode(secret).into_bytes(),
        })
    }

    /// A header's value with `secret`.
    pub(in crate::scheme) fn write(&self, secret: &[u8]) -> Zeroizing<Vec<u8>> {
        let (word, gap) = self.word().map_or(("", ""), |word| (word, " "));
        let around = [word.as_bytes(), gap.as_bytes(), self.before.as_bytes()].concat();
        Zeroizing::new([&around, &**self.coded(secret), self.after.as_bytes()].concat())
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        let meaning =
            |it: &Self| (it.word().map(str::to_ascii_lowercase), it.before.clone(), it.after.clone(), it.coding);
        meaning(self) == meaning(other)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, value: &str) -> Option<String> {
        Format::parse(format).unwrap().read(value.as_bytes()).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn only_the_case_of_the_word_is_free() {
        for value in ["Bearer t0ken", "bearer t0ken", "BEARER   t0ken"] {
            assert_eq!(read("Bearer {token}", value).as_deref(), Some("t0ken"), "{value}");
        }
        for value in ["", "Bearer", "Bearer ", "Bearert0ken", "Bearer\tt0ken", "Basic t0ken", "t0ken", " Bearer t0ken"]
        {
            assert_eq!(read("Bearer {token}", value), None, "{value}");
        }
        assert_eq!(read("Bearer {token}", "Bearer Bearer t").as_deref(), Some("Bearer t"));
        assert_eq!(read("Token token={token};", "token token=abc;").as_deref(), Some("abc"));
        assert_eq!(read("Token token={token};", "token Token=abc;"), None);
        assert_eq!(read("{token}", "abc def").as_deref(), Some("abc def"));
    }

    #[test]
    fn basic_is_strict() {
        assert_eq!(read("Basic {basic}", "basic dXNlcjpwYXNz").as_deref(), Some("user:pass"));
        assert_eq!(read("Basic {basic}", "Basic dTpw").as_deref(), Some("u:p"));
        assert_eq!(read("Basic {basic}", "Basic dTpwcA==").as_deref(), Some("u:pp"));
        for value in ["dTpwcA", "dTpwcA=", "dTpwcB==", "dTpwcA== ", "dTpwcA==x", "dTpw\ndTpw", "u:pp", "dTp_"] {
            assert_eq!(read("Basic {basic}", &format!("Basic {value}")), None, "{value}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for text in ["Bearer {token}", "{token}", "Basic {basic}", "Token token={token}", "k={token};"] {
            let format = Format::parse(text).unwrap();
            assert_eq!(format.read(&format.write(b"user:word")).unwrap().as_slice(), b"user:word", "{text}");
            assert_eq!(format.to_string(), text);
        }
        for wrong in [
            "",
            "Bearer",
            "{tokens}",
            "{token}{token}",
            "{token}{basic}",
            " {token}",
            "{token} ",
            "{{token}}",
            "é{token}",
        ] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }
}
