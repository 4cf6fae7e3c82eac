//! What a new configuration says of the listener and of TLS; values are TOML.

/// `[listener]`: where, whether PROXY headers come first, and whose word about senders is taken.
pub(crate) fn listener(address: String, headers: bool, trusted: Option<String>) -> Vec<(&'static str, String)> {
    let mut keys = vec![("address", address)];
    if headers {
        keys.push(("proxy_protocol", "\"required\"".to_owned()));
    }
    keys.extend(trusted.map(|list| ("trusted_proxies", list)));
    keys
}

/// `[tls]`: the certificate, its key, and who vouches for senders that show one, which not all of them do.
pub(crate) fn tls(certificate: String, key: String, authorities: Option<String>) -> Vec<(&'static str, String)> {
    let mut keys = vec![("cert_file", certificate), ("key_file", key)];
    if let Some(file) = authorities {
        keys.extend([("client_ca_file", file), ("client_auth", "\"optional\"".to_owned())]);
    }
    keys
}
