//! What a request brings besides what it asks: its client's address, TLS in front, cookies.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use crate::admin::state::Admin;
use crate::server::client::{Peer, client_ip};

/// Names of the session's cookie. With TLS in front, one that no other host and no plain HTTP can set (RFC 6265bis 4.1.3).
pub(super) const COOKIES: [&str; 2] = ["gatepost_session", "__Host-gatepost_session"];

/// The client's address as far as proxies can be believed.
pub(super) fn client_of(admin: &Admin, request: &Request) -> Option<IpAddr> {
    let peer = *request.extensions().get::<Peer>()?;
    client_ip(peer, request.headers(), &admin.view.load().trusted).ok()
}

/// Whether the browser speaks TLS to us, or to a proxy that is believed.
pub(super) fn is_secure(admin: &Admin, peer: Option<Peer>, headers: &HeaderMap) -> bool {
    let view = admin.view.load();
    let said = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    view.tls || (said && peer.is_some_and(|peer| view.trusted.contains(peer.ip)))
}

/// The session ids in the cookies of `headers`.
pub(super) fn session_ids(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| COOKIES.contains(name)).map(|(_, id)| id)
}
