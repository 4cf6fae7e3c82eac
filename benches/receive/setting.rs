//! What the program is started with: a directory on the disk to be measured, a certificate, and where the rest goes.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::result::BenchResult;

/// Files of one run. Stores that cost time to fill stay there; the rest is written anew.
pub(crate) struct Setting {
    /// Where everything is.
    pub dir: PathBuf,
    /// Self-signed; served and trusted.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The program's configuration, which is for the bench to write.
    pub config: PathBuf,
    /// URL of the store.
    pub store: String,
    /// Whether servers get a core of their own.
    pub pinned: bool,
}

impl Setting {
    /// Makes `dir` and the certificate; `store` is a URL, or the name of a file in `dir`.
    pub(crate) fn make(dir: PathBuf, store: Result<String, String>, pinned: bool) -> BenchResult<Self> {
        fs::create_dir_all(&dir)?;
        let (cert, key, config) = (dir.join("cert.pem"), dir.join("key.pem"), dir.join("gatepost.toml"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        fs::write(&cert, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let store = store.unwrap_or_else(|name| format!("sqlite:{}", dir.join(name).display()));
        Ok(Self { dir, cert, key, config, store, pinned })
    }

    /// The file of an `SQLite` store.
    pub(crate) fn store_file(&self) -> Option<PathBuf> {
        self.store.strip_prefix("sqlite:").map(PathBuf::from)
    }

    /// Removes an `SQLite` store, with its journal and the mark that it is filled.
    pub(crate) fn forget_store(&self) -> BenchResult<()> {
        let Some(file) = self.store_file() else { return Ok(()) };
        let beside = ["db", "db-wal", "db-shm", "db-journal", "filled"];
        for path in beside.map(|extension| file.with_extension(extension)) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}
