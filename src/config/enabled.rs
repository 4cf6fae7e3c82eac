//! The sources that environment variables alone enable, one for each vendor.

use zeroize::Zeroizing;

use super::env::Cxone;
use crate::scheme::{AccessKey, Preset, preset};
use crate::secret::Secret;
use crate::settings::{Diagnostics, Lookup, Raw};

/// A source that the environment enables, or whose key material it replaces.
pub(super) struct Enabled {
    /// Its preset, which is also its name.
    pub preset: &'static Preset,
    /// The variable to name in faults about it.
    pub variable: &'static str,
    /// What verifies it.
    pub material: Material,
}

/// What the environment gives a source to verify with. What was faulty is missing.
#[derive(Clone)]
pub(super) enum Material {
    /// HMAC secrets, primary first, each with where it came from.
    Secrets(Vec<(Secret, String)>),
    /// An AWS access key with its scope.
    AccessKey(Option<(AccessKey, String)>, Option<String>),
}

/// The variables of one HMAC vendor, and the presets they enable.
const VENDORS: [(&str, &str, &[&str]); 3] = [
    ("COGNIGY_WEBHOOK_SECRETS", "COGNIGY_WEBHOOK_SECRET", &["cognigy", "cognigy-callback"]),
    ("NICE_WEBHOOK_SECRETS", "NICE_WEBHOOK_SECRET", &["nice"]),
    ("CXONE_EXPERT_WEBHOOK_SECRETS", "CXONE_EXPERT_WEBHOOK_SECRET", &["cxone-expert"]),
];

/// Every source that the environment enables, in the order of the documentation.
pub(super) fn sources(cxone: &Cxone, diagnostics: &mut Diagnostics) -> Vec<Enabled> {
    let mut enabled: Vec<Enabled> = aws(cxone, diagnostics).into_iter().collect();
    for (many, one, names) in VENDORS {
        if let Some((variable, secrets)) = secrets(many, one, diagnostics) {
            let presets = names.iter().filter_map(|name| preset(name));
            enabled.extend(presets.map(|preset| Enabled {
                preset,
                variable,
                material: Material::Secrets(secrets.clone()),
            }));
        }
    }
    enabled
}

/// `cxone`, where any of its three variables is set. `CXONE_AWS_SERVICE` alone enables nothing.
fn aws(cxone: &Cxone, diagnostics: &mut Diagnostics) -> Option<Enabled> {
    let secret = diagnostics.secret_variable("CXONE_AWS_SECRET_KEY");
    let present = [
        ("CXONE_AWS_ACCESS_KEY", cxone.cxone_aws_access_key.is_some()),
        ("CXONE_AWS_SECRET_KEY", !matches!(secret, Lookup::Unset)),
        ("CXONE_AWS_REGION", cxone.cxone_aws_region.is_some()),
    ];
    let names =
        |wanted: bool| present.iter().filter(|(_, set)| *set == wanted).map(|(name, _)| *name).collect::<Vec<_>>();
    let (set, missing) = (names(true), names(false));
    if set.is_empty() {
        return None;
    }
    for name in &missing {
        diagnostics.error(*name, format!("is not set, but {} is: source cxone needs all three", set.join(" and ")));
    }
    let secret = match secret {
        Lookup::Found(mut raw) => {
            diagnostics.mac_key("CXONE_AWS_SECRET_KEY", &mut raw).map(|secret| (secret, raw.origin))
        }
        Lookup::Unset | Lookup::Faulty => None,
    };
    let key =
        cxone.cxone_aws_access_key.clone().zip(secret).map(|(access_key_id, (secret, origin))| {
            (AccessKey { access_key_id, secret, session_token: None }, origin)
        });
    let material = Material::AccessKey(key, cxone.cxone_aws_region.clone());
    preset("cxone").map(|preset| Enabled { preset, variable: "CXONE_AWS_ACCESS_KEY", material })
}

/// The secrets of one vendor and the variable they stand in; `None` where neither variable is set.
fn secrets(
    many: &'static str,
    one: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<(&'static str, Vec<(Secret, String)>)> {
    let (list, single) = (diagnostics.secret_variable(many), diagnostics.secret_variable(one));
    match (list, single) {
        (Lookup::Unset, Lookup::Unset) => None,
        (Lookup::Unset, Lookup::Found(mut raw)) => {
            Some((one, diagnostics.mac_key(one, &mut raw).map(|secret| (secret, raw.origin)).into_iter().collect()))
        }
        (Lookup::Found(raw), Lookup::Unset) => Some((many, entries(many, &raw, diagnostics))),
        (Lookup::Unset, Lookup::Faulty) => Some((one, Vec::new())),
        (Lookup::Faulty, Lookup::Unset) => Some((many, Vec::new())),
        _ => {
            diagnostics.error(many, format!("{many} and {one} are both set: keep one"));
            Some((many, Vec::new()))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const A: &str = "first-secret-long-enough";
    const B: &str = "second-secret-long-enough";

    fn read(pairs: &[(&str, &str)]) -> (Vec<Enabled>, Vec<String>) {
        let vars: BTreeMap<_, _> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut diagnostics = Diagnostics::new(&vars);
        let cxone = super::super::env::Environment::read(&vars, &mut diagnostics).cxone;
        let enabled = sources(&cxone, &mut diagnostics);
        (enabled, diagnostics.errors.iter().map(ToString::to_string).collect())
    }

    fn secrets_of(enabled: &Enabled) -> Vec<&[u8]> {
        match &enabled.material {
            Material::Secrets(secrets) => secrets.iter().map(|(secret, _)| secret.expose()).collect(),
            Material::AccessKey(..) => panic!("not an HMAC source"),
        }
    }

    #[test]
    fn nothing_set_enables_nothing() {
        assert!(read(&[]).0.is_empty());
        assert!(read(&[("CXONE_AWS_SERVICE", "execute-api")]).0.is_empty());
    }

    #[test]
    fn cognigy_secrets_enable_both_of_its_sources() {
        let (enabled, faults) = read(&[("COGNIGY_WEBHOOK_SECRETS", &format!("{A}, {B}"))]);
        assert_eq!(faults, Vec::<String>::new());
        let names: Vec<_> = enabled.iter().map(|source| source.preset.name).collect();
        assert_eq!(names, ["cognigy", "cognigy-callback"]);
        for source in &enabled {
            assert_eq!(secrets_of(source), [A.as_bytes(), B.as_bytes()]);
        }
    }

    #[test]
    fn a_single_secret_is_taken_literally() {
        let literal = " one, with, commas ";
        let (enabled, _) = read(&[("NICE_WEBHOOK_SECRET", literal)]);
        assert_eq!(secrets_of(&enabled[0]), [literal.as_bytes()]);
    }

    #[test]
    fn each_bad_entry_is_named_by_its_position() {
        let (enabled, faults) = read(&[("CXONE_EXPERT_WEBHOOK_SECRETS", &format!("{A},,short,{B}, "))]);
        assert_eq!(enabled.len(), 1);
        assert_eq!(faults.len(), 3, "{faults:?}");
        for (fault, index) in faults.iter().zip([1, 2, 4]) {
            assert!(fault.starts_with(&format!("CXONE_EXPERT_WEBHOOK_SECRETS[{index}]: ")), "{fault}");
        }
    }

    #[test]
    fn both_forms_at_once_are_a_fault() {
        let (enabled, faults) = read(&[("NICE_WEBHOOK_SECRET", A), ("NICE_WEBHOOK_SECRETS", B)]);
        assert_eq!((enabled.len(), faults.len()), (1, 1));
    }

    #[test]
    fn a_part_of_the_three_aws_variables_names_what_is_missing() {
        let (enabled, faults) = read(&[("CXONE_AWS_REGION", "eu-west-1")]);
        assert_eq!((enabled.len(), faults.len()), (1, 2));
        assert!(faults[0].starts_with("CXONE_AWS_ACCESS_KEY: is not set, but CXONE_AWS_REGION is"), "{faults:?}");
        assert!(faults[1].starts_with("CXONE_AWS_SECRET_KEY: "), "{faults:?}");
    }

    #[test]
    fn all_three_make_a_key() {
        let trio =
            [("CXONE_AWS_ACCESS_KEY", "AKIDEXAMPLE"), ("CXONE_AWS_SECRET_KEY", A), ("CXONE_AWS_REGION", "eu-west-1")];
        let (enabled, faults) = read(&trio);
        assert_eq!(faults, Vec::<String>::new());
        let Material::AccessKey(Some((key, _)), Some(region)) = &enabled[0].material else { panic!("no key") };
        assert_eq!((key.access_key_id.as_str(), region.as_str()), ("AKIDEXAMPLE", "eu-west-1"));
    }
}
