//! What an AWS Signature Version 4 scheme is built from: its keys in a source's table, parsed, over a vendor's row.

mod access_key;
mod check;
mod scheme;
mod text;
mod vendor;

use crate::settings::kind::text as kind;
use crate::settings::lists::list;
use crate::settings::{Diagnostics, Table, key};

pub(super) use self::access_key::AccessKey;
pub(super) use self::text::{ScopePart, UnsignedHeader};
pub(in crate::scheme) use self::vendor::{Variables, Vendor};

/// What an AWS Signature Version 4 scheme is built from. What is `None` or empty and may not be was missing or wrong,
/// and is told.
#[derive(Clone)]
pub(in crate::scheme) struct Settings {
    /// AWS region of the scope.
    pub(super) region: Option<ScopePart>,
    /// AWS service of the scope.
    pub(super) service: Option<ScopePart>,
    /// `x-amz-*` headers that may arrive unsigned because something on the way adds them.
    pub(super) unsigned_headers: Vec<UnsignedHeader>,
    /// The keys that verify, the one that we sign with first.
    pub(super) keys: Vec<AccessKey>,
}

const REGION: &str = "region";
const SERVICE: &str = "service";
const UNSIGNED_HEADERS: &str = "unsigned_headers";
const KEYS: &str = "keys";

impl Settings {
    /// Reads a source's keys over `row`. `variables` are those that may say region and service too; where they also
    /// hold the key (`enabled`), they replace the file's.
    fn read(
        row: &Vendor,
        variables: Option<Variables>,
        enabled: bool,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let part = || kind(ScopePart::parse, "a part of a credential: no blanks, slashes or commas");
        let region =
            key(REGION, "The AWS region that the sender signs for.", part()).variable(variables.map(|all| all.region));
        let region = if enabled {
            region.maybe(table, diagnostics).value()
        } else {
            let problem = "is missing: the AWS region that the sender signs for, such as \"eu-west-1\"";
            region.required(problem, table, diagnostics)
        };
        let service = key(SERVICE, "The AWS service that the sender signs for.", part())
            .variable(variables.map(|all| all.service))
            .or_maybe(ScopePart::parse(row.service).ok(), table, diagnostics);
        let unsigned_headers = key(
            UNSIGNED_HEADERS,
            "x-amz-* headers that something on the way adds, which may then arrive unsigned. x-amzn-*, x-amz-cf-id \
             and a right x-amz-content-sha256 always may; x-amz-date and x-amz-security-token never.",
            list(kind(UnsignedHeader::parse, "the name of an x-amz-* header")),
        )
        .maybe(table, diagnostics)
        .value();
        let keys = AccessKey::read_all(variables, enabled, table, diagnostics);
        Self { region, service, unsigned_headers: unsigned_headers.unwrap_or_default(), keys }
    }

    /// The keys in which `to` differs, with their new value as TOML.
    pub(super) fn changes(&self, to: &Self) -> Vec<(&'static str, Option<String>)> {
        let quoted = |part: &Option<ScopePart>| part.as_ref().map(|part| format!("{:?}", part.as_str()));
        let headers: Vec<&str> = to.unsigned_headers.iter().map(UnsignedHeader::as_str).collect();
        let keys = [
            (REGION, self.region == to.region, quoted(&to.region)),
            (SERVICE, self.service == to.service, quoted(&to.service)),
            (UNSIGNED_HEADERS, self.unsigned_headers == to.unsigned_headers, Some(format!("{headers:?}"))),
        ];
        keys.into_iter().filter(|(_, same, _)| !same).map(|(key, _, value)| (key, value)).collect()
    }
}
