//! The TLS configuration, made from certificate files: TLS 1.3, no tickets, no early data, h2 and http/1.1.
//!
//! Pure construction: swapping it under a running listener is [`arc_swap`]'s part, watching files is `app`'s.

mod error;
mod load;
mod pem_files;
mod randomness;
mod sni;

pub use error::{Place, TlsError, TlsFault};
pub use load::{LoadedTls, load};
pub use pem_files::CertificatePaths;
pub use randomness::gather_randomness;
