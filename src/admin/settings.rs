//! `[admin]`

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::event::Name;
use crate::secret::Secret;
use crate::server::CertificateFiles;
use crate::server::settings::address;
use crate::settings::kind::{choice, path, text};
use crate::settings::{Diagnostics, Example, Found, Table, grammar, key, secret};

/// Where probes are answered.
pub(crate) const LISTEN: &str = "GATEPOST_ADMIN_LISTEN";
/// Where they are, unless somebody says otherwise.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9090));
/// Who bears `admin.token` in records.
pub(super) const OWNER: &str = "admin";
const TOKEN: &str = "GATEPOST_ADMIN_TOKEN";
const ACCESS: &str = "[[admin.access]]";
const ROLES: [(&str, Role); 2] = [("viewer", Role::Viewer), ("operator", Role::Operator)];

/// What somebody may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Read everything but bodies and kept headers.
    Viewer,
    /// All there is.
    Operator,
}

impl Role {
    /// It as the file says it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// `[admin]`
pub(crate) struct Settings {
    /// Where it listens; only a restart changes it.
    pub(crate) address: SocketAddr,
    /// Whom it lets in.
    pub(crate) access: Access,
    /// Its certificate, where it speaks TLS.
    pub(crate) certificate: Option<CertificateFiles>,
}

/// Whom the admin listener lets in.
#[derive(Clone, Default)]
pub struct Access {
    /// `admin.token`: an operator.
    pub(crate) token: Option<Secret>,
    /// `[[admin.access]]`
    pub(crate) named: Vec<NamedToken>,
}

/// One `[[admin.access]]`.
#[derive(Clone)]
pub(crate) struct NamedToken {
    /// Who bears it, as records say.
    pub(crate) name: Name,
    /// What they may.
    pub(crate) role: Role,
    /// What they bear.
    pub(crate) token: Secret,
}

impl Access {
    /// A token that lets in whoever may read this configuration.
    pub(crate) fn bearer(&self) -> Option<&Secret> {
        self.token.as_ref().or_else(|| self.named.first().map(|named| &named.token))
    }

    /// Whether the listener is guarded by a token at all.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.token.is_some() || !self.named.is_empty()
    }
}

/// `[admin]` and `[[admin.access]]`.
pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Settings {
    let address = key("address", "Probes, metrics, the page and its API: ADDRESS:PORT.", address())
        .variable(LISTEN)
        .takes_a_restart()
        .or(ADDRESS, table, diagnostics);
    let token = secret(
        "token",
        "Guards /metrics and everything but /livez and /readyz: sign in with it, or send \"Authorization: Bearer TOKEN\". \
         Required as soon as the address is not loopback.",
    )
    .variable(TOKEN)
    .example(Example::Set("{ env = \"GATEPOST_ADMIN_TOKEN\" }"))
    .bearer(table, diagnostics);
    match &token {
        Found::Value(token) => diagnostics.warn_if_short(&table.place_in_file("token"), token),
        Found::Unset if !grammar::is_loopback(address.ip()) => {
            let problem =
                format!("is missing, and {address} is not loopback: set admin.token or {TOKEN}, or listen on loopback");
            diagnostics.error(table.place_in_file("token"), problem);
        }
        Found::Unset | Found::Faulty => {}
    }
    let certificate = certificate(table, diagnostics);
    let token = token.value();
    let mut named: Vec<NamedToken> = Vec::new();
    for mut entry in table.tables("access", diagnostics) {
        if let Some(one) = NamedToken::read(&mut entry, diagnostics) {
            one.check_beside(token.as_ref(), &named, &entry, diagnostics);
            named.push(one);
        }
        entry.finish_in(table, diagnostics);
    }
    Settings { address, access: Access { token, named }, certificate }
}

/// One more `[[admin.access]]`, of which nobody says anything.
pub(crate) fn declare(table: &mut Table, diagnostics: &mut Diagnostics) {
    let mut further = Table::new(ACCESS, "", toml::Table::new());
    drop(NamedToken::read(&mut further, diagnostics));
    further.finish_in(table, diagnostics);
}

fn certificate(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<CertificateFiles> {
    let cert_file = key("cert_file", "Makes the admin listener speak TLS: PEM chain, leaf first; watched.", path())
        .example(Example::Off("\"/run/tls/admin.crt\""))
        .maybe(table, diagnostics);
    let key_file = key("key_file", "Its private key, in PEM; watched as well.", path())
        .example(Example::Off("\"/run/tls/admin.key\""))
        .maybe(table, diagnostics);
    match (cert_file, key_file) {
        (Found::Value(cert_file), Found::Value(key_file)) => {
            diagnostics.files.extend([cert_file.clone(), key_file.clone()]);
            Some(CertificateFiles { section: "admin".to_owned(), cert_file, key_file })
        }
        (Found::Value(_), Found::Unset) => {
            diagnostics.error(table.place_in_file("key_file"), "is missing beside cert_file");
            None
        }
        (Found::Unset, Found::Value(_)) => {
            diagnostics.error(table.place_in_file("cert_file"), "is missing beside key_file");
            None
        }
        _ => None,
    }
}

impl NamedToken {
    fn read(entry: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let name = key("name", "Who bears this token, as audit records say.", text(grammar::name, "a name"))
            .example(Example::Off("\"on-call\""))
            .required("is missing: records say who did what", entry, diagnostics);
        if let Some(name) = &name {
            entry.is_called(name.as_str());
        }
        let role = key(
            "role",
            "\"viewer\" reads everything but bodies and kept headers; \"operator\" opens those and acts: replays, releases, \
             discards, erases, pauses.",
            choice(&ROLES),
        )
        .example(Example::Off("\"viewer\""))
        .required("is missing: say \"viewer\" or \"operator\"", entry, diagnostics);
        let token = secret("token", "As admin.token: signs in, or goes into \"Authorization: Bearer TOKEN\".")
            .example(Example::Off("{ file = \"/run/secrets/on-call\" }"))
            .needed()
            .bearer(entry, diagnostics);
        if matches!(token, Found::Unset) {
            entry.error("token", "is missing: name where it stands, { file = \"/run/secrets/name\" }", diagnostics);
        }
        let token = token.value();
        if let Some(token) = &token {
            diagnostics.warn_if_short(&entry.place_in_file("token"), token);
        }
        Some(Self { name: name?, role: role?, token: token? })
    }

    fn check_beside(&self, owner: Option<&Secret>, others: &[Self], entry: &Table, diagnostics: &mut Diagnostics) {
        if self.name.as_str() == OWNER || others.iter().any(|other| other.name == self.name) {
            entry.error("name", format!("{} is taken: two people need two names", self.name), diagnostics);
        }
        let mut borne = owner.into_iter().chain(others.iter().map(|other| &other.token));
        if borne.any(|other| other.same_as(&self.token)) {
            entry.error("token", "is another one's too: nobody could tell who it was", diagnostics);
        }
    }
}
