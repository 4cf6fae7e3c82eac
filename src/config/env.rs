//! The environment: which variables there are, read by envy into raw structs of text, one for each section.
//!
//! Everything is text here because envy stops at the first value it cannot convert; conversion is done later, where
//! every fault is kept. Secrets are not read here but by name, so that their `_FILE` forms come with them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::audit::Siem;
use crate::settings::Diagnostics;
use crate::settings::suggestion;
use crate::sink;

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
    /// What a source has that does not say otherwise.
    SourceDefaults: gatepost_allowed_ips, gatepost_max_drift_seconds,
}
variables! {
    /// Source `cxone`, but for its secret key.
    #[expect(clippy::struct_field_names, reason = "fields are the variables' own names, which envy matches")]
    Cxone: cxone_aws_access_key, cxone_aws_region, cxone_aws_service,
}
/// Variables that hold a secret; each exists with `_FILE` appended too.
pub(super) const SECRETS: [&str; 9] = [
    "CXONE_AWS_SECRET_KEY",
    "COGNIGY_WEBHOOK_SECRETS",
    "COGNIGY_WEBHOOK_SECRET",
    "NICE_WEBHOOK_SECRETS",
    "NICE_WEBHOOK_SECRET",
    "CXONE_EXPERT_WEBHOOK_SECRETS",
    "CXONE_EXPERT_WEBHOOK_SECRET",
    "GATEPOST_STORE",
    "GATEPOST_ADMIN_TOKEN",
];

/// Read by the command line before anything else.
const CONFIG: &str = "GATEPOST_CONFIG";

/// What a variable begins with that was probably meant for us though others may use it too.
const VENDORS: [&str; 4] = ["CXONE_AWS_", "COGNIGY_WEBHOOK_", "NICE_WEBHOOK_", "CXONE_EXPERT_WEBHOOK_"];

/// The raw environment, by section.
#[derive(Default)]
pub(super) struct Environment {
    /// `[listener]`, `[admin]`, `[log]`
    pub process: Process,
    /// `[tls]`
    pub tls: Tls,
    /// `[limits]`, `[store]`
    pub bounds: Bounds,
    /// Every `[[source]]`
    pub sources: SourceDefaults,
    /// Source `cxone`
    pub cxone: Cxone,
}

impl Environment {
    /// Reads the variables in `vars`. A variable that is set to nothing is a fault, and read as if it were not set.
    pub(super) fn read(vars: &BTreeMap<String, String>, diagnostics: &mut Diagnostics) -> Self {
        Self {
            process: section(vars, Process::NAMES, diagnostics),
            tls: section(vars, Tls::NAMES, diagnostics),
            bounds: section(vars, Bounds::NAMES, diagnostics),
            sources: section(vars, SourceDefaults::NAMES, diagnostics),
            cxone: section(vars, Cxone::NAMES, diagnostics),
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

/// Every variable with a meaning, without the `_FILE` forms.
pub(super) fn names() -> Vec<String> {
    let lists = [Process::NAMES, Tls::NAMES, Bounds::NAMES, SourceDefaults::NAMES, Cxone::NAMES, &SECRETS];
    let mut names: Vec<String> = lists.concat().into_iter().map(str::to_ascii_uppercase).collect();
    names.push(CONFIG.to_owned());
    names
}

/// Variables that rooms declare with their keys; those of secrets also with `_FILE` appended.
fn declared() -> Vec<String> {
    let none = BTreeMap::new();
    let mut found = Diagnostics::new(&none);
    sink::declare(&mut found);
    Siem::declare(&mut found);
    let mut names = Vec::new();
    for entry in found.sections.iter().flat_map(|section| &section.entries) {
        for name in &entry.variables {
            names.push((*name).to_owned());
            names.extend(entry.secret.then(|| format!("{name}_FILE")));
        }
    }
    names
}

/// `ConfigErrors` for variables that begin with `GATEPOST_` and mean nothing, warnings for those that look like a vendor's.
pub(super) fn report_unknown(vars: &BTreeMap<String, String>, diagnostics: &mut Diagnostics) {
    let mut known = names();
    known.extend(SECRETS.iter().map(|name| format!("{name}_FILE")));
    known.extend(declared());
    let referenced = diagnostics.referenced.clone();
    let is_referenced = |name: &str| {
        referenced.contains(name) || name.strip_suffix("_FILE").is_some_and(|name| referenced.contains(name))
    };
    for name in vars.keys().filter(|name| !known.contains(name) && !is_referenced(name)) {
        let hint = suggestion(name, known.iter().map(String::as_str));
        if name.starts_with("GATEPOST_") {
            diagnostics.error(name, format!("unknown variable{}", service_link(name).unwrap_or(&hint)));
        } else if VENDORS.iter().any(|prefix| name.starts_with(prefix)) {
            diagnostics.warn(format!("{name}: this variable is not read{hint}"));
        }
    }
}

/// Kubernetes puts such variables into every pod beside a service called gatepost.
fn service_link(name: &str) -> Option<&'static str> {
    let made = name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || name == "GATEPOST_PORT";
    made.then_some(" (Kubernetes made it for a service of that name: set enableServiceLinks to false in the pod)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn unknown(pairs: &[(&str, &str)], referenced: &[&str]) -> (Vec<String>, Vec<String>) {
        let vars = vars(pairs);
        let mut diagnostics = Diagnostics::new(&vars);
        diagnostics.referenced = referenced.iter().map(|name| (*name).to_owned()).collect();
        report_unknown(&vars, &mut diagnostics);
        (diagnostics.errors.iter().map(ToString::to_string).collect(), diagnostics.warnings)
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
        let vars = vars(&[("GATEPOST_LISTEN", ""), ("GATEPOST_ALLOWED_IPS", " ")]);
        let mut diagnostics = Diagnostics::new(&vars);
        Environment::read(&vars, &mut diagnostics);
        let told: Vec<_> = diagnostics.errors.iter().map(|fault| fault.at.as_str()).collect();
        assert_eq!(told, ["GATEPOST_LISTEN", "GATEPOST_ALLOWED_IPS"]);
    }

    #[test]
    fn unknown_variables_of_ours_are_faults_with_a_hint() {
        let (faults, _) =
            unknown(&[("GATEPOST_LISTN", "x"), ("GATEPOST_Log", "x"), ("PATH", "/bin"), ("HOME", "/")], &[]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("did you mean GATEPOST_LISTEN?"), "{faults:?}");
    }

    #[test]
    fn known_referenced_and_file_forms_are_no_faults() {
        let pairs = [
            ("GATEPOST_CONFIG", "x"),
            ("GATEPOST_ADMIN_TOKEN_FILE", "x"),
            ("GATEPOST_MY_OWN", "x"),
            ("GATEPOST_OTHER_FILE", "x"),
        ];
        assert_eq!(unknown(&pairs, &["GATEPOST_MY_OWN", "GATEPOST_OTHER"]), (vec![], vec![]));
        assert_eq!(unknown(&[("GATEPOST_LISTEN_FILE", "x")], &[]).0.len(), 1, "not a secret, no _FILE form");
    }

    #[test]
    fn service_links_are_explained_and_vendor_slips_told() {
        let (faults, warnings) = unknown(&[("GATEPOST_SERVICE_HOST", "x"), ("NICE_WEBHOOK_SECRTS", "x")], &[]);
        assert!(faults[0].contains("enableServiceLinks"), "{faults:?}");
        assert!(warnings[0].contains("did you mean NICE_WEBHOOK_SECRETS?"), "{warnings:?}");
    }
}
