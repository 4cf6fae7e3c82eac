//! The first random numbers, gathered before a client waits for them.

use rustls::crypto::aws_lc_rs;

/// Has the TLS library gather its first randomness, beside whatever else a start does.
///
/// For that it measures the jitter of the processor, for tens of milliseconds: the first handshake would take so long, and
/// with it every request on its thread.
///
/// # Panics
/// Outside of a Tokio runtime, whose threads for blocking work it uses.
pub fn gather_randomness() {
    // Nobody waits for it. Where it fails, the first handshake tries again, and says so.
    drop(tokio::task::spawn_blocking(|| aws_lc_rs::default_provider().secure_random.fill(&mut [0; 32])));
}
