//! What every proxy in front is asked: who the client is, whatever the client says of itself.
//!
//! Clients are told apart by their loopback addresses: the proxy itself comes from 127.0.0.1, the only trusted one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::support::certs::Ca;
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Request, Response, Setup, Signer, accepted, assert_refusal, eventually, nameless};

/// A client whom the sources allow, and one whom they do not.
pub(super) const FRIEND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
pub(super) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A running proxy.
pub(super) trait Front {
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// Who has signed its certificate, and gatepost's.
    fn ca(&self) -> &Arc<Ca>;
}

/// Replaces what must stand in `text`.
#[track_caller]
pub(super) fn swapped(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "deploy/ no longer says: {from}");
    text.replace(from, to)
}

/// A TLS connection that comes from `source`.
pub(super) fn connect_from(source: Ipv4Addr, to: SocketAddr, ca: &Ca) -> std::io::Result<Conn> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(to).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Conn::over(stream, client_config(ca, &["http/1.1"]))
}

/// Believes the proxy at 127.0.0.1 and nobody else on loopback; `cognigy` is open to [`FRIEND`] alone.
pub(super) fn behind(proxy_protocol: &str) -> Setup {
    Setup::new()
        .set("listener", "proxy_protocol", &format!("\"{proxy_protocol}\""))
        .set("listener", "trusted_proxies", "[\"127.0.0.1/32\"]")
        .preset_at("cognigy", "cognigy", "/webhook/cognigy", &format!("allowed_ips = [\"{FRIEND}\"]"))
}

pub(super) fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

/// Waits for the access record of the request with `outcome` from `client`.
fn record(daemon: &Daemon, outcome: &str, client: Ipv4Addr, peer: &str) -> Value {
    daemon.access_where(&format!("{outcome} from {client} over {peer}"), |record| {
        record["outcome"] == outcome && record["client_ip"] == client.to_string() && record["peer_ip"] == peer
    })
}

/// Allowed and refused by who the client is, whatever the client says of itself.
pub(super) fn tells_clients_apart(
    daemon: &Daemon,
    send_from: impl Fn(Ipv4Addr, &Request) -> Response,
    peer_of: impl Fn(Ipv4Addr) -> String,
) {
    accepted(&send_from(FRIEND, &cognigy()));
    record(daemon, "accepted", FRIEND, &peer_of(FRIEND));
    assert_refusal(&send_from(STRANGER, &cognigy()), 403, "ip_not_whitelisted");
    record(daemon, "refused", STRANGER, &peer_of(STRANGER));
    let friend = FRIEND.to_string();
    for (name, value) in [
        ("X-Forwarded-For", friend.clone()),
        ("X-Forwarded-For", format!("{friend}, {friend}")),
        ("x-forwarded-for", format!("{friend}, 127.0.0.1")),
        ("Forwarded", format!("for={friend}")),
    ] {
        let forged = cognigy().header(name, &value);
        assert_refusal(&send_from(STRANGER, &forged), 403, "ip_not_whitelisted");
    }
    let refused = |record: &&Value| record["client_ip"] == STRANGER.to_string() && record["status"] == 403;
    eventually("every refusal names the stranger", || {
        (daemon.access().iter().filter(refused).count() == 5).then_some(())
    });
    // And what the friend says of itself does not hurt it either.
    accepted(&send_from(FRIEND, &cognigy().header("X-Forwarded-For", "192.0.2.7")));
}
