//! `[siem]`: where audit records go.

use std::time::Duration;

use crate::secret::Secret;
use crate::settings::kind::{Choice, choice};
use crate::settings::{Diagnostics, Example, Found, Table, key, secret};
use crate::sink::ClientSettings;
use crate::sink::address::{Endpoint, endpoint};
use crate::sink::http_client::HttpClient;

const URL: &str = "GATEPOST_SIEM_URL";
const TOKEN: &str = "GATEPOST_SIEM_TOKEN";

/// `[siem]`
#[derive(Clone)]
pub struct Siem {
    /// Where audit records are sent with `POST`.
    pub url: Endpoint,
    /// `Authorization: Bearer` (or `Splunk`).
    pub token: Option<Secret>,
    /// Whom to trust, and which proxy is on the way.
    pub client: ClientSettings,
    /// How records are written.
    pub format: SiemFormat,
}

/// What the SIEM reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SiemFormat {
    /// The audit record as it is logged.
    #[default]
    Json,
    /// Elastic Common Schema.
    Ecs,
    /// Splunk HTTP Event Collector.
    SplunkHec,
}

const FORMATS: Choice<SiemFormat> =
    choice(&[("json", SiemFormat::Json), ("ecs", SiemFormat::Ecs), ("splunk-hec", SiemFormat::SplunkHec)]);

impl Siem {
    /// Reads `[siem]` and the variables that win over it. `None` where neither asks for one.
    pub(crate) fn read(file: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut table = file.table("siem", diagnostics);
        let siem = Self::keys(&mut table, diagnostics);
        // Without a SIEM there is nothing to show of it but keys that it would not have.
        if siem.is_some() || !table.is_empty() {
            table.finish(diagnostics);
        }
        siem
    }

    /// Asks for every key, so that they are recorded.
    pub(crate) fn declare(diagnostics: &mut Diagnostics) {
        let mut table = Table::new("[siem]", "siem", toml::Table::new());
        Self::keys(&mut table, diagnostics);
        table.finish(diagnostics);
    }

    fn keys(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let asked =
            ["token", "ca_file", "format", "proxy"].iter().any(|key| table.holds(key)) || diagnostics.is_set(TOKEN);
        let doc = "Where audit records go in batches. Required in this section.";
        let found = key("url", doc, endpoint())
            .variable(URL)
            .example(Example::Set("\"https://siem.internal/api/v1/events\""))
            .maybe(table, diagnostics);
        let used = !matches!(found, Found::Unset);
        if asked && !used {
            let problem = format!("is missing: set it in [siem], or set {URL}");
            table.error("url", problem, diagnostics);
        }
        let url = found.value();
        let doc = "Sent in Authorization: Bearer (Splunk for \"splunk-hec\").";
        let token = secret("token", doc)
            .variable(TOKEN)
            .example(Example::Set("{ file = \"/run/secrets/siem\" }"))
            .bearer(table, diagnostics)
            .value();
        let client = ClientSettings::read(url.as_ref(), used, table, diagnostics);
        let doc = "How records are written: \"json\" (as logged), \"ecs\" (Elastic Common Schema) or \"splunk-hec\".";
        let format = key("format", doc, FORMATS).or(SiemFormat::Json, table, diagnostics);
        let url = url?;
        // Built and let go again, so that whoever only reads is told what would keep it from starting.
        if let Err(error) = HttpClient::new(url.uri(), &client, Duration::ZERO, 1) {
            diagnostics.consequence(table.place(&error.at), error.problem);
        }
        client.warn_if_unused(&url, table, diagnostics);
        url.warn_if_open("audit records", &table.place_in_file("url"), diagnostics);
        Some(Self { url, token, client, format })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Errors, warnings and what is shown.
    fn read(file: &str, vars: &[(&str, &str)]) -> (Vec<String>, Vec<String>, String) {
        let vars =
            vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>();
        let mut diagnostics = Diagnostics::new(&vars);
        let siem = Siem::read(&mut Table::new("", "", file.parse().unwrap()), &mut diagnostics);
        let mut shown = String::new();
        diagnostics.sections.iter().for_each(|section| section.write(&mut shown));
        let errors: Vec<_> = diagnostics.errors.iter().map(ToString::to_string).collect();
        assert!(siem.is_some() || shown.is_empty() || !errors.is_empty(), "{shown}");
        (errors, diagnostics.warnings, shown)
    }

    #[test]
    fn it_is_there_where_somebody_asks_for_it() {
        for nothing in ["", "[siem]\n"] {
            assert_eq!(read(nothing, &[]), (vec![], vec![], String::new()));
        }
        let (errors, warnings, shown) = read("[siem]\nformat = 'ecs'\n", &[(URL, "https://siem.internal/")]);
        assert_eq!((errors, warnings), (vec![], vec![]));
        assert_eq!(shown, "[siem]\nurl = \"https://siem.internal/\" # GATEPOST_SIEM_URL\nformat = \"ecs\"\n");
        for part in ["token = { value = 'a' }", "ca_file = 'a'", "format = 'ecs'", "proxy = 'http://a'"] {
            let (errors, ..) = read(&format!("[siem]\n{part}\n"), &[]);
            assert_eq!(errors, ["siem.url: is missing: set it in [siem], or set GATEPOST_SIEM_URL"]);
        }
        assert_eq!(read("[siem]\nformt = 'ecs'\n", &[]).0, ["siem.formt: unknown key (did you mean format?)"]);
    }

    #[test]
    fn authorities_that_nobody_asks_are_told() {
        let file = "[siem]\nurl = 'http://127.0.0.1:1/'\nca_file = '/none.pem'\n";
        let (errors, warnings, _) = read(file, &[]);
        assert!(errors.is_empty() && warnings.len() == 1 && warnings[0].starts_with("siem.ca_file: "), "{warnings:?}");
        let (errors, warnings, _) = read(file, &[("HTTP_PROXY", "https://proxy.internal:1")]);
        assert!(errors.len() == 1 && errors[0].starts_with("siem.ca_file: /none.pem"), "{errors:?}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn exceptions_that_match_nothing_are_told_where_there_is_a_proxy() {
        let url = (URL, "https://siem.internal/");
        let list = ("NO_PROXY", "10.0.0.0/99");
        let (errors, warnings, _) = read("", &[url, list, ("HTTPS_PROXY", "http://proxy.internal:1")]);
        assert_eq!(errors, Vec::<String>::new());
        assert!(warnings.len() == 1 && warnings[0].starts_with("NO_PROXY: \"10.0.0.0/99\" matches"), "{warnings:?}");
        assert_eq!(read("", &[url, list]).1, Vec::<String>::new());
    }

    #[test]
    fn a_proxy_is_shown_without_its_password_in_every_form() {
        for proxy in ["http://us:hunter2@proxy:1", "us:hunter2@proxy:1"] {
            let (errors, _, shown) = read(&format!("[siem]\nurl = 'https://h/'\nproxy = '{proxy}'\n"), &[]);
            assert_eq!(errors, Vec::<String>::new());
            assert!(shown.contains("proxy = \"http://[redacted]@proxy:1\"\n"), "{shown}");
        }
        let (errors, _, shown) = read("[siem]\nurl = 'https://h/'\nproxy = 'us:hunter2@proxy:0'\n", &[]);
        assert!(
            errors.len() == 1 && !errors[0].contains("hunter2") && !shown.contains("hunter2"),
            "{errors:?} {shown}"
        );
    }
}
