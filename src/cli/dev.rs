//! `dev`: the whole daemon on this machine with one command. Loopback only, throw-away certificates, development secrets.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::app::OnHangup;
use crate::config::Config;
use crate::server;
use crate::settings::{ConfigError, ConfigErrors};

use super::failure::{Failure, Status};
use super::invocation::Invocation;
use crate::shell;

use super::{dev_certificates, output, serve};

const FILE: &str = "config/dev.toml";
/// For a binary that runs away from its repository.
const BUILT_IN: &str = include_str!("../../config/dev.toml");

/// Prepares certificates and configuration, serves, and says how to send something.
pub(super) async fn run(mut invocation: Invocation) -> Result<Status, Failure> {
    let file = match invocation.file.take() {
        Some(file) => file,
        None => development_file()?,
    };
    invocation.file = Some(file.clone());
    // Whoever presses Ctrl-C waits for the prompt.
    invocation.without_drain = true;
    let certificates = Path::new(dev_certificates::DIRECTORY);
    if dev_certificates::ensure(certificates, invocation.clock.now())? == dev_certificates::Ensured::Made {
        output::tell(&format!("made a throw-away CA and server certificate under {}/", certificates.display()));
    }
    let config = invocation.load()?;
    only_loopback(&config)?;
    make_store_directory(&config.boot.store_url)?;
    let configured = config.boot.listener.address;
    let sources: Vec<(String, String)> =
        config.live.sources.iter().map(|source| (source.name.to_string(), source.path.clone())).collect();
    let (app, signals) = serve::start(&invocation, OnHangup::Stop).await?;
    let bound = app.webhook_address();
    // Another shell that pastes the line reads the file, but has not this shell's variables.
    let overridden = bound != configured || invocation.vars.contains_key(server::settings::LISTEN);
    output::tell(&instructions(&file, &sources, bound, app.admin_address(), overridden));
    Ok(serve::finish(app, signals).await)
}

/// `config/dev.toml`, written from the copy built in where there is none.
fn development_file() -> Result<PathBuf, Failure> {
    let file = PathBuf::from(FILE);
    if !file.exists() {
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, BUILT_IN));
        written.map_err(|error| Failure::runtime(format_args!("cannot write {FILE}"), &error))?;
        output::tell(&format!("wrote {FILE}: development secrets, yours to change"));
    }
    Ok(file)
}

/// Its secrets are public: nobody else may reach it.
fn only_loopback(config: &Config) -> Result<(), Failure> {
    let addresses = [("listener.address", config.boot.listener.address), ("admin.address", config.boot.admin_address)];
    let errors: Vec<ConfigError> = addresses
        .into_iter()
        .filter(|(_, address)| !address.ip().to_canonical().is_loopback())
        .map(|(at, address)| {
            ConfigError::new(
                at,
                format!("dev binds loopback only, and {address} is not: use 127.0.0.1 or [::1], or run serve"),
            )
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors).into()) }
}

fn make_store_directory(url: &str) -> Result<(), Failure> {
    let Some(directory) = url.strip_prefix("sqlite:").map(Path::new).and_then(Path::parent) else { return Ok(()) };
    fs::create_dir_all(directory)
        .map_err(|error| Failure::runtime(format_args!("cannot make {}", directory.display()), &error))
}

fn instructions(
    file: &Path,
    sources: &[(String, String)],
    bound: SocketAddr,
    admin: SocketAddr,
    overridden: bool,
) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "gatepost".to_owned());
    let program = format!("{} --config {}", shell::quote(&program), shell::quote(&file.to_string_lossy()));
    let mut lines = vec![
        format!("gatepost takes webhooks on https://{bound}, probes and metrics are on http://{admin}"),
        "deliver a valid event, from this directory:".to_owned(),
    ];
    for (name, path) in sources {
        let mut line = format!("  {program} send {name}");
        if overridden {
            line.push_str(" --url ");
            line.push_str(&shell::quote(&format!("https://localhost:{}{path}", bound.port())));
        }
        lines.push(line);
    }
    lines.push(format!("then see what was accepted:\n  {program} events list"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(overridden: bool) -> String {
        let sources = [("cognigy".to_owned(), "/webhook/cognigy".to_owned())];
        let (bound, admin) = ("127.0.0.1:8443".parse().unwrap(), "127.0.0.1:9090".parse().unwrap());
        instructions(Path::new("my config/dev.toml"), &sources, bound, admin, overridden)
    }

    #[test]
    fn every_source_gets_a_line_that_can_be_pasted() {
        let program = shell::quote(&std::env::args().next().unwrap());
        assert!(told(false).contains(&format!("\n  {program} --config 'my config/dev.toml' send cognigy\n")));
        assert!(told(true).contains(" send cognigy --url https://localhost:8443/webhook/cognigy\n"));
    }

    #[test]
    fn the_file_built_in_is_toml_and_names_sources() {
        let table: toml::Table = BUILT_IN.parse().unwrap();
        assert!(table["source"].as_array().is_some_and(|sources| sources.len() >= 6));
    }

    #[test]
    fn the_directory_of_an_embedded_store_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        make_store_directory(&format!("sqlite:{}/gatepost.db", data.display())).unwrap();
        assert!(data.is_dir());
        make_store_directory("postgres://localhost/gatepost").unwrap();
        make_store_directory("sqlite:gatepost.db").unwrap();
    }
}
