//! The program's configuration for receiving: a source of each kind that is measured.

use std::fs;
use std::path::PathBuf;

use crate::jwt;
use crate::options::{Log, Options};
use crate::request::{ACCESS_KEY, NICE_SECRET, REGION, SECRET, SECRET_KEY, TOKEN};
use crate::result::BenchResult;
use crate::setting::Setting;

/// The sink of a backlog: nobody listens there, so the circuit stays open but for a few probes every 10 s, and the
/// deliveries stay in the table for as long as the store is kept.
const REFUSING_SINK: &str = r#"[[sink]]
name = "refusing"
type = "http"
url = "http://127.0.0.1:1/"
max_attempts = 1000
max_age = "2000h"
"#;

/// Writes all files; a store that no `--preload` fills begins empty.
pub(crate) fn prepare(options: &Options, pinned: bool) -> BenchResult<Setting> {
    let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench"));
    let store = options.store.clone().ok_or_else(|| match (options.preload, options.backlog) {
        (0, _) => "empty.db".to_owned(),
        (ids, None) => format!("preloaded-{ids}-{}.db", options.preload_bytes),
        (ids, Some(queued)) => format!("preloaded-{ids}-{}-queued-{queued}.db", options.preload_bytes),
    });
    let setting = Setting::make(dir, store, pinned)?;
    if options.preload == 0 && options.store.is_none() {
        setting.forget_store()?;
    }
    fs::write(&setting.config, toml(&setting, options)?)?;
    Ok(setting)
}

fn toml(setting: &Setting, options: &Options) -> BenchResult<String> {
    let Setting { dir, cert, key, store, .. } = setting;
    let (cert, key) = (cert.display(), key.display());
    // The record that says where it listens has to be written.
    let filter = if options.log == Log::Quiet { "warn,gatepost::app::run=info" } else { "info" };
    let backlog = options.backlog.map(|_| REFUSING_SINK).unwrap_or_default();
    let extra = options.extra_config.as_ref().map(fs::read_to_string).transpose()?.unwrap_or_default();
    fs::write(dir.join("secret"), SECRET)?;
    fs::write(dir.join("secret-key"), SECRET_KEY)?;
    let secret = format!("{{ file = '{}' }}", dir.join("secret").display());
    let secret_key = format!("{{ file = '{}' }}", dir.join("secret-key").display());
    let tokens = token_sources(setting, &secret)?;
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
secrets = [{{ value = "no-request-comes-as-far-as-this" }}]
[[source]]
name = "nice"
preset = "nice"
path = "/webhooks/nice"
allowed_ips = ["127.0.0.0/8"]
secrets = [{{ value = "{NICE_SECRET}" }}]
[[source]]
name = "cxone"
preset = "cxone"
path = "/webhooks/cxone"
allowed_ips = ["127.0.0.0/8"]
region = "{REGION}"
keys = [{{ access_key_id = "{ACCESS_KEY}", secret = {secret_key} }}]
{tokens}{backlog}{extra}"#
    ))
}

/// The sources whose senders bring a token; `secret` is a reference.
fn token_sources(setting: &Setting, secret: &str) -> BenchResult<String> {
    let jwks = setting.dir.join("jwks.json");
    fs::write(&jwks, jwt::jwks()?.to_string())?;
    let jwks = jwks.display();
    Ok(format!(
        r#"[[source]]
name = "token"
preset = "token"
path = "/webhooks/token"
allowed_ips = ["127.0.0.0/8"]
tokens = [{{ value = "{TOKEN}" }}]
[[source]]
name = "jwt"
preset = "jwt"
path = "/webhooks/jwt"
allowed_ips = ["127.0.0.0/8"]
algorithms = ["RS256", "ES256"]
jwks_file = "{jwks}"
[[source]]
name = "jwt-secret"
preset = "jwt"
path = "/webhooks/jwt-secret"
allowed_ips = ["127.0.0.0/8"]
algorithms = ["HS256"]
secrets = [{secret}]
"#
    ))
}
