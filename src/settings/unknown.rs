//! What is said about variables that mean nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostics::Diagnostics;
use super::nearest::suggestion;

/// What a variable of ours begins with: unknown ones are errors.
pub(crate) const OURS: &str = "GATEPOST_";

/// An error for each variable that begins with `GATEPOST_` and is not among `known`, a warning for each that begins as a
/// vendor's do. `known` are names with a meaning, `_FILE` forms included; `read_before` those that the command line reads.
pub(crate) fn report_unknown(
    vars: &BTreeMap<String, String>,
    known: &BTreeSet<String>,
    referenced: &BTreeSet<String>,
    diagnostics: &mut Diagnostics,
) {
    let vendors: BTreeSet<&str> = known.iter().filter_map(|name| vendor_prefix(name)).collect();
    let is_referenced = |name: &str| {
        referenced.contains(name) || name.strip_suffix("_FILE").is_some_and(|name| referenced.contains(name))
    };
    for name in vars.keys().filter(|name| !known.contains(*name) && !is_referenced(name)) {
        let hint = || suggestion(name, known.iter().map(String::as_str));
        if name.starts_with(OURS) {
            let hint = service_link(name).map_or_else(hint, str::to_owned);
            diagnostics.error(name, format!("unknown variable{hint}"));
        } else if vendors.iter().any(|prefix| name.starts_with(prefix)) {
            diagnostics.warn(format!("{name}: this variable is not read{}", hint()));
        }
    }
}

/// `NICE_WEBHOOK_` of `NICE_WEBHOOK_SECRETS`, `CXONE_AWS_` of `CXONE_AWS_REGION`: what was probably meant for us.
fn vendor_prefix(name: &str) -> Option<&str> {
    let inner = ["_WEBHOOK_", "_AWS_"].iter().find_map(|word| name.find(word).map(|at| at + word.len()))?;
    name.get(..inner).filter(|prefix| !prefix.starts_with(OURS))
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
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let known =
            owned(&["GATEPOST_LISTEN", "GATEPOST_ADMIN_TOKEN", "GATEPOST_ADMIN_TOKEN_FILE", "NICE_WEBHOOK_SECRETS"]);
        let mut diagnostics = Diagnostics::new(&vars);
        report_unknown(&vars, &known, &owned(referenced), &mut diagnostics);
        (diagnostics.errors.iter().map(ToString::to_string).collect(), diagnostics.warnings)
    }

    #[test]
    fn variables_of_ours_that_mean_nothing_are_errors_and_those_of_vendors_warnings() {
        let (errors, warnings) =
            unknown(&[("GATEPOST_LISTN", "x"), ("NICE_WEBHOOK_SECRT", "x"), ("NICE_TRY", "x"), ("PATH", "x")], &[]);
        assert!(errors.len() == 1 && errors[0].contains("did you mean GATEPOST_LISTEN?"), "{errors:?}");
        assert!(warnings.len() == 1 && warnings[0].starts_with("NICE_WEBHOOK_SECRT: "), "{warnings:?}");
        assert!(unknown(&[("GATEPOST_ADMIN_TOKEN_FILE", "x"), ("GATEPOST_LISTEN", "x")], &[]).0.is_empty());
        assert!(unknown(&[("GATEPOST_MINE", "x"), ("GATEPOST_MINE_FILE", "x")], &["GATEPOST_MINE"]).0.is_empty());
    }

    #[test]
    fn variables_that_kubernetes_makes_are_explained() {
        let (errors, _) = unknown(&[("GATEPOST_PORT_8443_TCP_ADDR", "x"), ("GATEPOST_SERVICE_HOST", "x")], &[]);
        assert_eq!(errors.len(), 2);
        assert!(errors[0].contains("enableServiceLinks"), "{errors:?}");
    }
}
