//! The program's configuration for delivering: one source, one sink.

use std::fs;
use std::path::PathBuf;

use crate::options::{Options, SINK};
use crate::request::SECRET;
use crate::result::BenchResult;
use crate::setting::Setting;

/// Makes everything but the configuration, which depends on the sink.
pub(crate) fn prepare(options: &Options, pinned: bool) -> BenchResult<Setting> {
    let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("deliver"));
    let store = options.store.clone().ok_or_else(|| "queue.db".to_owned());
    let setting = Setting::make(dir, store, pinned)?;
    fs::write(setting.dir.join("secret"), SECRET)?;
    Ok(setting)
}

/// Writes the configuration with a sink of which `lines` say type, address and credentials.
pub(crate) fn configure(setting: &Setting, lines: &str, concurrency: usize) -> BenchResult<()> {
    let Setting { dir, cert, key, store, .. } = setting;
    let (cert, key, secret) = (cert.display(), key.display(), dir.join("secret"));
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
    Ok(fs::write(&setting.config, text)?)
}
