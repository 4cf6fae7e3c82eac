//! The variables that hold a vendor's secrets, of which one may be set.

use zeroize::Zeroizing;

use super::diagnostics::Diagnostics;
use super::secret_source::{Lookup, Raw};
use crate::secret::Secret;

/// The variables of a vendor's secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SecretVariables {
    /// Holds several, separated by commas.
    pub(crate) list: &'static str,
    /// Holds one, taken literally.
    pub(crate) single: &'static str,
}

/// The variables of which one may hold what a key lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Variables {
    /// Holds several, separated by commas.
    pub(crate) list: Option<&'static str>,
    /// Holds one, taken literally.
    pub(crate) single: Option<&'static str>,
}

impl From<SecretVariables> for Variables {
    fn from(SecretVariables { list, single }: SecretVariables) -> Self {
        Self { list: Some(list), single: Some(single) }
    }
}

impl SecretVariables {
    /// Whether one of them is set, rightly or wrongly.
    pub(crate) fn are_set(self, diagnostics: &Diagnostics) -> bool {
        Variables::from(self).are_set(diagnostics)
    }

    /// The variable to name in errors.
    pub(crate) fn named(self, diagnostics: &Diagnostics) -> &'static str {
        if diagnostics.is_set(self.list) { self.list } else { self.single }
    }
}

impl Variables {
    /// Their names.
    pub(super) fn names(self) -> Vec<&'static str> {
        self.list.into_iter().chain(self.single).collect()
    }

    /// Whether one of them is set, rightly or wrongly.
    pub(crate) fn are_set(self, diagnostics: &Diagnostics) -> bool {
        self.names().into_iter().any(|name| diagnostics.is_set(name))
    }

    /// The variable to name in errors: the one that is set.
    pub(crate) fn named(self, diagnostics: &Diagnostics) -> Option<&'static str> {
        let names = self.names();
        names.iter().find(|name| diagnostics.is_set(name)).or(names.first()).copied()
    }

    /// The secrets and the variable they stand in; `None` where neither is set.
    pub(super) fn read(self, diagnostics: &mut Diagnostics) -> Option<(&'static str, Vec<(Secret, String)>)> {
        let mut look = |name: Option<&'static str>| Some((name?, diagnostics.secret_variable(name?)));
        let set = |found: &(&'static str, Lookup)| !matches!(found.1, Lookup::Unset);
        let (list, single) = (look(self.list).filter(set), look(self.single).filter(set));
        match (list, single) {
            (None, None) => None,
            (Some((list, _)), Some((single, _))) => {
                diagnostics.error(list, format!("{list} and {single} are both set: keep one"));
                Some((list, Vec::new()))
            }
            (Some((name, Lookup::Found(raw))), None) => Some((name, entries(name, &raw, diagnostics))),
            (None, Some((name, Lookup::Found(mut raw)))) => {
                let secret = diagnostics.mac_key(name, &mut raw).map(|secret| (secret, raw.origin));
                Some((name, secret.into_iter().collect()))
            }
            (Some((name, _)), None) | (None, Some((name, _))) => Some((name, Vec::new())),
        }
    }
}

/// Each entry of a comma-separated list, blanks around it dropped.
fn entries(variable: &str, list: &Raw, diagnostics: &mut Diagnostics) -> Vec<(Secret, String)> {
    let mut secrets = Vec::new();
    for (index, entry) in list.bytes.split(|byte| *byte == b',').enumerate() {
        let bytes = Zeroizing::new(entry.trim_ascii().to_vec());
        let mut raw = Raw { bytes, origin: list.origin.clone() };
        let secret = diagnostics.mac_key(&format!("{variable}[{index}]"), &mut raw);
        secrets.extend(secret.map(|secret| (secret, raw.origin)));
    }
    secrets
}
