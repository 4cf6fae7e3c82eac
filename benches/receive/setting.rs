//! What both servers are started with: a directory on the disk to be measured, certificates, the configuration file.

use std::fs;
use std::path::PathBuf;

use crate::Outcome;
use crate::options::{Log, Options};
use crate::request::{ACCESS_KEY, REGION, SECRET, SECRET_KEY};

/// The sink of a backlog: nobody listens there, so the circuit stays open but for a few probes every 10 s, and the
/// deliveries stay in the table for as long as the store is kept.
const REFUSING_SINK: &str = r#"[[sink]]
name = "refusing"
type = "http"
url = "http://127.0.0.1:1/"
max_attempts = 1000
max_age = "2000h"
"#;

/// Files of one run. Stores that cost time to fill stay there; the rest is written anew.
pub struct Setting {
    /// Where everything is.
    pub dir: PathBuf,
    /// Self-signed; served and trusted.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The program's configuration.
    pub config: PathBuf,
    /// URL of the store.
    pub store: String,
    /// Whether servers get a core of their own.
    pub pinned: bool,
}

impl Setting {
    /// Writes the files.
    pub fn prepare(options: &Options, pinned: bool) -> Outcome<Self> {
        let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench"));
        fs::create_dir_all(&dir)?;
        let (cert, key, config) = (dir.join("cert.pem"), dir.join("key.pem"), dir.join("gatepost.toml"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        fs::write(&cert, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let store = options.store.clone().unwrap_or_else(|| {
            let name = match (options.preload, options.backlog) {
                (0, _) => "empty.db".to_owned(),
                (ids, None) => format!("preloaded-{ids}-{}.db", options.preload_bytes),
                (ids, Some(queued)) => format!("preloaded-{ids}-{}-queued-{queued}.db", options.preload_bytes),
            };
            format!("sqlite:{}", dir.join(name).display())
        });
        let setting = Self { dir, cert, key, config, store, pinned };
        if options.preload == 0 && options.store.is_none() {
            setting.forget_store()?;
        }
        fs::write(&setting.config, setting.toml(options)?)?;
        Ok(setting)
    }

    /// The file of an `SQLite` store.
    pub fn store_file(&self) -> Option<PathBuf> {
        self.store.strip_prefix("sqlite:").map(PathBuf::from)
    }

    /// Removes an `SQLite` store, its journal included.
    pub fn forget_store(&self) -> Outcome<()> {
        let Some(file) = self.store_file() else { return Ok(()) };
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn toml(&self, options: &Options) -> Outcome<String> {
        let Self { cert, key, store, .. } = self;
        let (cert, key) = (cert.display(), key.display());
        // The record that says where it listens has to be written.
        let filter = if options.log == Log::Quiet { "warn,gatepost::app::run=info" } else { "info" };
        let backlog = options.backlog.map(|_| REFUSING_SINK).unwrap_or_default();
        let extra = options.extra_config.as_ref().map(fs::read_to_string).transpose()?.unwrap_or_default();
        fs::write(self.dir.join("secret"), SECRET)?;
        fs::write(self.dir.join("secret-key"), SECRET_KEY)?;
        let secret = format!("{{ file = '{}' }}", self.dir.join("secret").display());
        let secret_key = format!("{{ file = '{}' }}", self.dir.join("secret-key").display());
        Ok(format!(
            r#"[listener]
address = "127.0.0.1:0"
max_connections = 20000
max_connections_per_client = 20000
[tls]
cert_file = "{cert}"
key_file = "{key}"
[limits]
idle_timeout = "10m"
[shutdown]
drain_delay = "0s"
drain_timeout = "5s"
[store]
url = "{store}"
retention = "2000h"
[admin]
address = "127.0.0.1:0"
[log]
format = "json"
filter = "{filter}"
[[source]]
name = "cognigy"
preset = "cognigy"
path = "/webhook/cognigy"
allowed_ips = ["127.0.0.0/8"]
secrets = [{secret}]
[[source]]
name = "denied"
preset = "cognigy"
path = "/webhook/denied"
allowed_ips = ["203.0.113.0/24"]
secrets = [{secret}]
[[source]]
name = "nice"
preset = "nice"
path = "/webhooks/nice"
allowed_ips = ["127.0.0.0/8"]
secrets = [{secret}]
[[source]]
name = "cxone"
preset = "cxone"
path = "/webhooks/cxone"
allowed_ips = ["127.0.0.0/8"]
region = "{REGION}"
keys = [{{ access_key_id = "{ACCESS_KEY}", secret = {secret_key} }}]
{backlog}{extra}"#
        ))
    }
}
