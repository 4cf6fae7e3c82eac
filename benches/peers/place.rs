//! Where a run has its files: a temporary directory on the disk to be measured, with certificate, configurations and logs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::request::{HEADER, PATH, SECRET};
use crate::result::BenchResult;
use crate::setting::Setting;

/// The files of a run; gone with it.
pub(crate) struct Place {
    dir: TempDir,
    /// Certificate, key, and whether there is a core for the servers.
    pub setting: Setting,
    /// Certificate and key in one file, as `HAProxy` wants them.
    both: PathBuf,
}

impl Place {
    /// Makes the directory, below cargo's for such files, and the certificate.
    pub(crate) fn make(pinned: bool) -> BenchResult<Self> {
        let dir = tempfile::Builder::new().prefix("peers-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let setting = Setting::make(dir.path().to_owned(), Err("gatepost.db".to_owned()), pinned)?;
        let both = dir.path().join("both.pem");
        fs::write(&both, [fs::read(&setting.cert)?, fs::read(&setting.key)?].concat())?;
        Ok(Self { dir, setting, both })
    }

    /// A file of this run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A script that is used as it is.
    pub(crate) fn script(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/config").join(name)
    }

    /// Fills in the template `name` for a server on `port`; `more` are further pairs of a placeholder and its text.
    pub(crate) fn fill(&self, name: &str, port: u16, more: &[(&str, &str)]) -> BenchResult<PathBuf> {
        let template = Self::script(name);
        let mut text = fs::read_to_string(&template).map_err(|error| format!("{}: {error}", template.display()))?;
        let known = [
            ("@PORT@", port.to_string()),
            ("@DIR@", self.dir.path().display().to_string()),
            ("@CERT@", self.setting.cert.display().to_string()),
            ("@KEY@", self.setting.key.display().to_string()),
            ("@BOTH@", self.both.display().to_string()),
            ("@SECRET@", SECRET.to_owned()),
            ("@SECRET_BASE64@", STANDARD.encode(SECRET)),
            ("@PATH@", PATH.to_owned()),
            ("@HEADER@", HEADER.to_owned()),
        ];
        for (placeholder, value) in
            known.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied())
        {
            text = text.replace(placeholder, value);
        }
        let file = self.file(&format!("{port}-{name}"));
        fs::write(&file, text)?;
        Ok(file)
    }
}

/// An address on loopback that nobody listens at. Somebody else may take it before the server does: then that server does
/// not start, and the run says so.
pub(crate) fn free_address() -> BenchResult<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
