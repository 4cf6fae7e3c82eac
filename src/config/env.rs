//! The environment: which variables there are, read by envy into raw structs of text, one for each section.
//!
//! Everything is text here because envy stops at the first value it cannot convert; conversion is done later, where
//! every fault is kept. Secrets are not read here but by name, so that their `_FILE` forms come with them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::settings::Diagnostics;

/// Declares a raw struct whose fields are variables in lower case (as envy hands them over), and their list.
macro_rules! variables {
    ($(#[$doc:meta])* $name:ident: $($field:ident),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Default, serde::Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: Option<String>),+ }

        impl $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];
        }
    };
}

variables! {
    /// Over `[listener]`, `[admin]` and `[log]`.
    #[expect(clippy::struct_field_names, reason = "fields are the variables' own names, which envy matches")]
    Process: gatepost_listen, gatepost_admin_listen, gatepost_trusted_proxies, gatepost_proxy_protocol, gatepost_log,
    gatepost_log_format,
}
variables! {
    /// Over `[tls]`.
    Tls: tls_cert_file, tls_key_file,
}
variables! {
    /// Over `[limits]` and `[store]`.
    Bounds: webhook_max_bytes, gatepost_retention,
}
variables! {
    /// Over `[[sink]]` and `[siem]`.
    Outlets: gatepost_forward_url, gatepost_siem_url,
}

/// Variables that hold a secret; each exists with `_FILE` appended too.
const SECRETS: [&str; 4] = ["GATEPOST_STORE", "GATEPOST_FORWARD_SECRET", "GATEPOST_SIEM_TOKEN", "GATEPOST_ADMIN_TOKEN"];

/// Read by the command line before anything else.
const CONFIG: &str = "GATEPOST_CONFIG";

/// The raw environment, by section.
#[derive(Default)]
pub(super) struct Environment {
    /// `[listener]`, `[admin]`, `[log]`
    pub process: Process,
    /// `[tls]`
    pub tls: Tls,
    /// `[limits]`, `[store]`
    pub bounds: Bounds,
    /// `[[sink]]`, `[siem]`
    pub outlets: Outlets,
}

impl Environment {
    /// Reads the variables in `vars`. A variable that is set to nothing is a fault, and read as if it were not set.
    pub(super) fn read(vars: &BTreeMap<String, String>, diagnostics: &mut Diagnostics) -> Self {
        Self {
            process: section(vars, Process::NAMES, diagnostics),
            tls: section(vars, Tls::NAMES, diagnostics),
            bounds: section(vars, Bounds::NAMES, diagnostics),
            outlets: section(vars, Outlets::NAMES, diagnostics),
        }
    }
}

/// One raw struct, from the variables called `names` (given in lower case, upper case in the environment).
fn section<T: Default + DeserializeOwned>(
    vars: &BTreeMap<String, String>,
    names: &[&str],
    diagnostics: &mut Diagnostics,
) -> T {
    let mut wanted = Vec::new();
    for name in names {
        let name = name.to_ascii_uppercase();
        match vars.get(&name).map(|value| value.trim()) {
            Some("") => diagnostics.error(name, "is set but empty: give a value, or unset it"),
            Some(value) => wanted.push((name, value.to_owned())),
            None => {}
        }
    }
    envy::from_iter(wanted).unwrap_or_else(|error| {
        diagnostics.error("environment", error.to_string());
        T::default()
    })
}

/// Every variable with a meaning that no section tells, `_FILE` forms included.
pub(super) fn names() -> impl Iterator<Item = String> {
    let lists = [Process::NAMES, Tls::NAMES, Bounds::NAMES, Outlets::NAMES];
    let upper = lists.concat().into_iter().map(str::to_ascii_uppercase);
    let secrets = SECRETS.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_FILE")]);
    upper.chain(secrets).chain([CONFIG.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_arrive_in_their_fields() {
        let vars = vars(&[("GATEPOST_LISTEN", " [::]:1 "), ("TLS_CERT_FILE", "c"), ("WEBHOOK_MAX_BYTES", "x")]);
        let mut diagnostics = Diagnostics::new(&vars);
        let read = Environment::read(&vars, &mut diagnostics);
        assert_eq!(read.process.gatepost_listen.as_deref(), Some("[::]:1"));
        assert_eq!(read.tls.tls_cert_file.as_deref(), Some("c"));
        assert_eq!(read.bounds.webhook_max_bytes.as_deref(), Some("x"), "not converted yet");
        assert_eq!(read.process.gatepost_log, None);
        assert!(diagnostics.errors.is_empty());
    }

    #[test]
    fn each_variable_set_to_nothing_is_a_fault() {
        let vars = vars(&[("GATEPOST_LISTEN", ""), ("GATEPOST_RETENTION", " ")]);
        let mut diagnostics = Diagnostics::new(&vars);
        Environment::read(&vars, &mut diagnostics);
        let told: Vec<_> = diagnostics.errors.iter().map(|fault| fault.at.as_str()).collect();
        assert_eq!(told, ["GATEPOST_LISTEN", "GATEPOST_RETENTION"]);
    }
}
