//! The program's configuration: the sources that the store has events of, and sinks that nobody listens at, so that what
//! waits goes on waiting.

use std::fmt::Write as _;
use std::fs;

use crate::result::BenchResult;
use crate::setting::Setting;

/// Sources, with how many in a thousand events are theirs.
pub(crate) const SOURCES: [(&str, u64); 4] = [("cognigy", 600), ("nice", 250), ("studio", 149), ("seldom", 1)];
/// Gets every event.
pub(crate) const MAIN: &str = "main";
/// Gets some, and has been away for long.
pub(crate) const STUCK: &str = "stuck";

/// Writes the configuration.
pub(crate) fn write(setting: &Setting) -> BenchResult<()> {
    let Setting { dir, cert, key, store, .. } = setting;
    let (cert, key, secret) = (cert.display(), key.display(), dir.join("secret"));
    fs::write(&secret, "bench-secret-of-enough-length")?;
    let secret = secret.display();
    let mut text = format!(
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
retention = "2000h"
[admin]
address = "127.0.0.1:0"
[log]
format = "json"
filter = "info"
"#
    );
    for (source, _) in SOURCES {
        write!(
            text,
            r#"[[source]]
name = "{source}"
preset = "cognigy"
path = "/webhook/{source}"
allowed_ips = ["127.0.0.0/8"]
secrets = [{{ file = "{secret}" }}]
"#
        )?;
    }
    for sink in [MAIN, STUCK] {
        write!(
            text,
            r#"[[sink]]
name = "{sink}"
type = "http"
url = "http://127.0.0.1:1/"
max_attempts = 1000
max_age = "2000h"
"#
        )?;
    }
    Ok(fs::write(&setting.config, text)?)
}
