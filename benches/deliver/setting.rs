//! What the program is started with: a directory on the disk to be measured, a certificate, the configuration file.

use std::fs;
use std::path::PathBuf;

use crate::Outcome;
use crate::options::{Options, SINK};
use crate::request::SECRET;

/// Files of one run; all of them are written anew.
pub struct Setting {
    /// Where everything is.
    pub dir: PathBuf,
    /// Self-signed; served and trusted, by the program and by its https sink.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The program's configuration.
    pub config: PathBuf,
    /// URL of the store.
    pub store: String,
    /// Whether the program gets a core of its own.
    pub pinned: bool,
}

impl Setting {
    /// Makes the directory and the certificate.
    pub fn prepare(options: &Options, pinned: bool) -> Outcome<Self> {
        let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("deliver"));
        fs::create_dir_all(&dir)?;
        let (cert, key, config) = (dir.join("cert.pem"), dir.join("key.pem"), dir.join("gatepost.toml"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        fs::write(&cert, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        fs::write(dir.join("secret"), SECRET)?;
        let store = options.store.clone().unwrap_or_else(|| format!("sqlite:{}", dir.join("queue.db").display()));
        Ok(Self { dir, cert, key, config, store, pinned })
    }

    /// The file of an `SQLite` store.
    pub fn store_file(&self) -> Option<PathBuf> {
        self.store.strip_prefix("sqlite:").map(PathBuf::from)
    }

    /// Removes an `SQLite` store, with its journal and the mark that it is filled.
    pub fn forget_store(&self) -> Outcome<()> {
        let Some(file) = self.store_file() else { return Ok(()) };
        let beside = ["db", "db-wal", "db-shm", "db-journal", "filled"];
        for path in beside.map(|extension| file.with_extension(extension)) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the configuration with a sink of which `lines` say type, address and credentials.
    pub fn configure(&self, lines: &str, concurrency: usize) -> Outcome<()> {
        let Self { cert, key, store, .. } = self;
        let (cert, key, secret) = (cert.display(), key.display(), self.dir.join("secret"));
        let secret = secret.display();
        let text = format!(
            r#"[listener]
address = "127.0.0.1:0"
[tls]
cert_file = "{cert}"
key_file = "{key}"
[shutdown]
drain_delay = "0s"
drain_timeout = "5s"
[store]
url = "{store}"
[admin]
address = "127.0.0.1:0"
[log]
format = "json"
filter = "info"
[[source]]
name = "cognigy"
preset = "cognigy"
path = "/webhook/cognigy"
allowed_ips = ["127.0.0.0/8"]
secrets = [{{ file = "{secret}" }}]
[[sink]]
name = "{SINK}"
concurrency = {concurrency}
{lines}
"#
        );
        Ok(fs::write(&self.config, text)?)
    }
}
