//! How the peers are started, those that are installed.

use std::path::{Path, PathBuf};

use crate::launch::Launch;
use crate::options::Options;
use crate::place::Place;
use crate::process::command;
use crate::request::{HEADER, PATH, SECRET};
use crate::result::BenchResult;

/// Prints the versions, and fails where one of both is missing.
const PYTHON_VERSIONS: &str = "import platform, starlette, uvicorn; \
    print(f'{starlette.__version__}, uvicorn {uvicorn.__version__}, Python {platform.python_version()}')";

/// The first line that `program` says with `arguments`; `None` where there is no such program, or it fails.
pub(crate) fn says(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = command(false, program).args(arguments).output().ok()?;
    // nginx tells its version on stderr.
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    output.status.success().then(|| String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

/// The `n`th word of that line.
fn word(program: &str, argument: &str, n: usize) -> Option<String> {
    says(Path::new(program), &[argument])?.split([' ', '/']).nth(n).map(str::to_owned)
}

/// `HAProxy` alone: its hmac converter over the buffered body.
pub(crate) fn haproxy(place: &Place, port: u16) -> BenchResult<Option<Launch>> {
    let Some(version) = word("haproxy", "-v", 2) else { return Ok(None) };
    let mut command = command(place.setting.pinned, Path::new("haproxy"));
    command.arg("-db").arg("-f").arg(place.fill("haproxy.cfg", port, &[])?);
    Ok(Some(Launch { version, command }))
}

/// nginx with its JavaScript.
pub(crate) fn nginx(place: &Place, port: u16) -> BenchResult<Option<Launch>> {
    let Some(version) = word("nginx", "-v", 3) else { return Ok(None) };
    let output = command(false, Path::new("nginx")).arg("-V").output()?;
    let built = String::from_utf8_lossy(&output.stderr).into_owned();
    let modules = built.split_whitespace().find_map(|option| option.strip_prefix("--modules-path="));
    let module = PathBuf::from(modules.unwrap_or_default()).join("ngx_http_js_module.so");
    if !module.exists() {
        return Ok(None);
    }
    let (module, script) = (module.display().to_string(), Place::script("verify.js").display().to_string());
    let config = place.fill("nginx.conf", port, &[("@MODULE@", &module), ("@SCRIPT@", &script)])?;
    let mut command = command(place.setting.pinned, Path::new("nginx"));
    // -e: or it opens the log of the system's own before it has read where ours is.
    command.arg("-e").arg("stderr").arg("-c").arg(config).env("SECRET", SECRET).env("HEADER", HEADER);
    Ok(Some(Launch { version, command }))
}

/// Node's own https module.
pub(crate) fn node(place: &Place, port: u16) -> Option<Launch> {
    let version = says(Path::new("node"), &["--version"])?;
    let setting = &place.setting;
    let mut command = command(setting.pinned, Path::new("node"));
    command.arg(Place::script("node.mjs")).env("PORT", port.to_string()).env("SECRET", SECRET).env("HEADER", HEADER);
    command.env("CERT", &setting.cert).env("KEY", &setting.key);
    Some(Launch { version: version.trim_start_matches('v').to_owned(), command })
}

/// Debian's webhook, whose command does not exist: to start one for each request would be most of what is measured.
/// Its rule is the only one of an "or": anywhere else it answers a wrong signature with 500, soft failures or not.
pub(crate) fn webhook(place: &Place, port: u16) -> BenchResult<Option<Launch>> {
    let Some(version) = word("webhook", "-version", 2) else { return Ok(None) };
    let hook = PATH.rsplit('/').next().unwrap_or_default();
    let hooks = place.fill("hooks.json", port, &[("@HOOK@", hook)])?;
    let setting = &place.setting;
    let mut command = command(setting.pinned, Path::new("webhook"));
    command.args(["-ip", "127.0.0.1", "-port", &port.to_string(), "-secure", "-tls-min-version", "1.3"]);
    command.arg("-cert").arg(&setting.cert).arg("-key").arg(&setting.key).arg("-hooks").arg(hooks);
    Ok(Some(Launch { version, command }))
}

/// Starlette under uvicorn, which takes uvloop and httptools where they are installed.
pub(crate) fn starlette(place: &Place, options: &Options, port: u16) -> BenchResult<Option<Launch>> {
    let Some(version) = says(&options.python, &["-c", PYTHON_VERSIONS]) else { return Ok(None) };
    let setting = &place.setting;
    let script = Place::script("app.py");
    let mut command = command(setting.pinned, &options.python);
    command.args(["-B", "-m", "uvicorn", "app:app", "--no-access-log", "--log-level", "warning"]);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--timeout-keep-alive", "3600"]);
    command.arg("--app-dir").arg(script.parent().ok_or("no directory")?);
    command.arg("--ssl-certfile").arg(&setting.cert).arg("--ssl-keyfile").arg(&setting.key);
    command.env("SECRET", SECRET).env("HEADER", HEADER).env("ROUTE", PATH);
    Ok(Some(Launch { version, command }))
}
