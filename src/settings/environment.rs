//! The environment: every variable in one flat map.

use std::collections::BTreeMap;

/// What the names of OpenTelemetry's variables begin with: an empty one is as if unset, for all programs that read it.
const STANDARD: &str = "OTEL_";

/// Whether a variable of this name says something by holding `value`.
pub(super) fn says_something(name: &str, value: &str) -> bool {
    !name.starts_with(STANDARD) || !value.trim().is_empty()
}

/// The variables, by name in lower case, as envy hands them over. Those that are not written in upper case are none of
/// ours.
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the variables from `vars`.
    ///
    /// # Errors
    /// Why envy cannot.
    pub(super) fn read(vars: &BTreeMap<String, String>) -> Result<Self, String> {
        let upper = vars.iter().filter(|(name, _)| !name.bytes().any(|byte| byte.is_ascii_lowercase()));
        let pairs = upper
            .filter(|(name, value)| says_something(name, value))
            .map(|(name, value)| (name.clone(), value.clone()));
        envy::from_iter(pairs).map(Self).map_err(|error| error.to_string())
    }

    /// What variable `name` holds.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// No variables.
    pub(super) const fn none() -> Self {
        Self(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_their_values_and_only_upper_case_counts() {
        let vars = [("GATEPOST_LISTEN", " [::]:1 "), ("gatepost_log", "x"), ("OTEL_A", " "), ("GATEPOST_A", " ")];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let read = Environment::read(&vars).unwrap();
        assert_eq!(read.get("GATEPOST_LISTEN"), Some(" [::]:1 "));
        assert_eq!(read.get("GATEPOST_LOG"), None);
        assert_eq!((read.get("OTEL_A"), read.get("GATEPOST_A")), (None, Some(" ")));
    }
}
