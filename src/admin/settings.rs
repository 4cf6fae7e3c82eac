//! `[admin]`

use std::net::SocketAddr;

use crate::secret::Secret;
use crate::server::settings::address;
use crate::settings::{Diagnostics, Example, Found, Table, grammar, key, secret};

/// `[admin]`: its address, which a reload cannot change, and its token, which one can.
pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> (SocketAddr, Option<Secret>) {
    let address = key("address", "Probes and metrics, plain HTTP: ADDRESS:PORT.", address())
        .variable("GATEPOST_ADMIN_LISTEN")
        .takes_a_restart()
        .or(SocketAddr::from(([127, 0, 0, 1], 9090)), table, diagnostics);
    let token = secret(
        "token",
        "Guards /metrics and everything but /livez and /readyz: \"Authorization: Bearer TOKEN\". Required as soon as the \
         address is not loopback.",
    )
    .variable("GATEPOST_ADMIN_TOKEN")
    .example(Example::Set("{ env = \"GATEPOST_ADMIN_TOKEN\" }"))
    .bearer(table, diagnostics);
    match &token {
        Found::Value(token) => diagnostics.warn_if_short(&table.place_in_file("token"), token),
        Found::Unset if !grammar::is_loopback(address.ip()) => {
            let advice = "set admin.token or GATEPOST_ADMIN_TOKEN, or listen on loopback";
            let problem = format!("is missing, and {address} is not loopback: {advice}");
            diagnostics.error(table.place_in_file("token"), problem);
        }
        Found::Unset | Found::Faulty => {}
    }
    (address, token.value())
}
