//! What is reported of the certificates in use: their expiry as a metric, a warning in time, an error once they are invalid.

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::server::Tls;
use crate::server::tls::LoadedTls;

/// A certificate that expires sooner than this gets a warning.
const EXPIRY_WARNING: jiff::SignedDuration = jiff::SignedDuration::from_hours(21 * 24);

/// Reports when the first certificate of `tls` expires, and warns while there is time to do something. One that is not
/// valid now is served all the same, because a restart must not make it worse; senders that check it will not connect.
pub(super) fn report(tls: &LoadedTls, settings: &Tls, clock: &Clock, metrics: &Metrics) {
    let (at, now) = (tls.earliest_expiry, clock.now());
    metrics.certificate_expiry.set(at.as_duration().as_secs_f64());
    let invalid = tls.invalid_at(now);
    for error in &invalid {
        let fault = error.among(settings).to_string();
        tracing::error!(
            fault,
            "senders refuse this TLS certificate: put a valid one in its place, it is reloaded by itself"
        );
    }
    let left = at.duration_since(now);
    if left < EXPIRY_WARNING && invalid.is_empty() {
        let days = left.as_hours() / 24;
        tracing::warn!(expires = %at, days, "the TLS certificate expires soon: put a new one in its place, it is reloaded by itself");
    }
}
