//! `[admin]`

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::secret::Secret;
use crate::server::settings::address;
use crate::settings::{Diagnostics, Example, Found, Table, grammar, key, secret};

/// Where probes are answered.
pub(crate) const LISTEN: &str = "GATEPOST_ADMIN_LISTEN";
/// Where they are, unless somebody says otherwise.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9090));
const TOKEN: &str = "GATEPOST_ADMIN_TOKEN";

/// `[admin]`: its address, which a reload cannot change, and its token, which one can.
pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> (SocketAddr, Option<Secret>) {
    let address = key("address", "Probes and metrics, plain HTTP: ADDRESS:PORT.", address())
        .variable(LISTEN)
        .takes_a_restart()
        .or(ADDRESS, table, diagnostics);
    let token = secret(
        "token",
        "Guards /metrics and everything but /livez and /readyz: \"Authorization: Bearer TOKEN\". Required as soon as the \
         address is not loopback.",
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
    (address, token.value())
}
