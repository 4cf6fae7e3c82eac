//! What a new configuration is to say: from flags and answers.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::super::failure::Failure;
use super::super::output;
use super::args::{Args, Proxy};
use super::ask::Asker;
use crate::scheme::{Preset, preset, presets};
use crate::settings::{grammar, suggestion};
use crate::sink;

/// What a new configuration is to say.
pub(super) struct Plan {
    /// Where everything goes, from the root on.
    pub(super) dir: PathBuf,
    pub(super) sources: Vec<Source>,
    /// As TOML.
    pub(super) allowed_ips: String,
    pub(super) destination: Destination,
    pub(super) proxy: Proxy,
    /// As TOML, where something stands in front.
    pub(super) trusted_proxies: Option<String>,
    pub(super) listen: String,
    pub(super) admin: SocketAddr,
    /// Chain and key; `None` for a throw-away certificate.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    /// Authorities and name of senders that show a certificate.
    pub(super) client: Option<(PathBuf, String)>,
    pub(super) store: Option<String>,
    /// Scheme and host as senders know them.
    pub(super) public_url: String,
}

/// Where events go.
pub(super) enum Destination {
    /// They are stored and listed.
    Store,
    /// To a sink of a type.
    Sink { kind: String, url: String },
}

/// One sender.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) preset: &'static Preset,
    /// Further keys as TOML.
    pub(super) keys: Vec<(String, String)>,
}

impl Source {
    /// That of the preset where it has its name, else one of its own below it.
    pub(super) fn path(&self) -> String {
        match self.preset.path {
            Some(path) if self.name == self.preset.name => path.to_owned(),
            Some(path) => format!("{path}/{}", self.name),
            None => format!("/webhooks/{}", self.name),
        }
    }

    /// Sets its further keys among `keys`.
    pub(super) fn set(&self, keys: &mut Vec<(String, String)>) {
        for (key, value) in &self.keys {
            match keys.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => known.clone_from(value),
                None => keys.push((key.clone(), value.clone())),
            }
        }
    }

    /// Whether its sender shows nothing but a certificate.
    fn shows_certificate(&self) -> bool {
        self.preset.scheme.starter("", &mut || [0; 32]).secret.is_none()
    }
}

impl Plan {
    /// What `args` say, and what is answered where they say nothing.
    pub(super) fn new(args: &Args, asker: &mut Asker) -> Result<Option<Self>, Failure> {
        let mut sources = asked_sources(args, asker)?.unwrap_or_default();
        for text in &args.set {
            set(text, &mut sources).map_err(|problem| Failure::Usage(format!("--set {text}: {problem}")))?;
        }
        let question = "From which addresses do they send? Addresses and CIDRs separated by commas, or any: ";
        let allowed_ips = asker.required("--allowed-ips", args.allowed_ips.as_deref(), question, allowed)?;
        let destination = asked_destination(args, asker)?;
        let (proxy, trusted_proxies) = asked_proxy(args, asker)?;
        let certificate = asked_certificate(args, asker)?;
        let client = if sources.iter().any(Source::shows_certificate) { asked_client(args, asker)? } else { None };
        let admin = args.admin_listen.parse().map_err(|_| {
            Failure::Usage(format!("--admin-listen: {:?} is not an address with a port", args.admin_listen))
        })?;
        let (Some(allowed_ips), Some(destination), Some(proxy)) = (allowed_ips, destination, proxy) else {
            return Ok(None);
        };
        let dir = std::path::absolute(&args.dir)
            .map_err(|error| Failure::runtime(format_args!("cannot use {}", args.dir.display()), &error))?;
        Ok(Some(Self {
            dir,
            sources,
            allowed_ips,
            destination,
            proxy,
            trusted_proxies,
            listen: args.listen.clone(),
            admin,
            certificate,
            client,
            store: args.store.clone(),
            public_url: args.public_url.trim_end_matches('/').to_owned(),
        }))
    }
}

fn asked_sources(args: &Args, asker: &mut Asker) -> Result<Option<Vec<Source>>, Failure> {
    let given = (!args.source.is_empty()).then(|| args.source.join(","));
    if given.is_none() && asker.can_ask() {
        let width = presets().map(|preset| preset.name.len()).max().unwrap_or(0);
        output::tell("Senders that are known:");
        for preset in presets() {
            output::tell(&format!("  {:<width$}  {}", preset.name, preset.setup.product));
        }
    }
    let question = "Which of them send here? Presets separated by commas; NAME=PRESET names one yourself: ";
    asker.required("--source", given.as_deref(), question, sources)
}

fn sources(text: &str) -> Result<Vec<Source>, String> {
    let mut found = Vec::<Source>::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let (name, of) = word.split_once('=').unwrap_or((word, word));
        let preset = preset(of).ok_or_else(|| {
            let known: Vec<&str> = presets().map(|preset| preset.name).collect();
            let meant = suggestion(of, known.iter().copied());
            format!("no preset is called {of:?}{meant}; there are: {}", known.join(", "))
        })?;
        let name = grammar::name(name)?.to_string();
        if found.iter().any(|source| source.name == name) {
            return Err(format!("two are called {name}: say NAME=PRESET to tell them apart"));
        }
        found.push(Source { name, preset, keys: Vec::new() });
    }
    if found.is_empty() { Err("name at least one".to_owned()) } else { Ok(found) }
}

/// Adds a key to the source that `text` names.
fn set(text: &str, sources: &mut [Source]) -> Result<(), String> {
    let (place, value) = text.split_once('=').ok_or("expected SOURCE.KEY=TOML")?;
    let (name, key) = place.split_once('.').ok_or("expected SOURCE.KEY=TOML")?;
    let source = sources.iter_mut().find(|source| source.name == name);
    let source = source.ok_or_else(|| format!("no source is called {name:?}"))?;
    format!("{key} = {value}").parse::<toml::Table>().map_err(|_| format!("{value} is not TOML: quote a string"))?;
    source.keys.push((key.to_owned(), value.to_owned()));
    Ok(())
}

fn asked_destination(args: &Args, asker: &mut Asker) -> Result<Option<Destination>, Failure> {
    let types = sink::types().join(", ");
    let question = format!("Where do events go? {types}, or none to store and list them only: ");
    let known = |text: &str| match text {
        "none" => Ok(None),
        _ if sink::types().contains(&text) => Ok(Some(text.to_owned())),
        _ => Err(format!("{text:?} is no type of sink; there are: {types}, none")),
    };
    let Some(kind) = asker.required("--sink", args.sink.as_deref(), &question, known)? else { return Ok(None) };
    let Some(kind) = kind else {
        return match &args.sink_url {
            Some(_) => Err(Failure::Usage("--sink-url: goes with a --sink that is not none".to_owned())),
            None => Ok(Some(Destination::Store)),
        };
    };
    let url = asker.required("--sink-url", args.sink_url.as_deref(), "Its URL: ", plain)?;
    Ok(url.map(|url| Destination::Sink { kind, url }))
}

fn asked_proxy(args: &Args, asker: &mut Asker) -> Result<(Option<Proxy>, Option<String>), Failure> {
    let proxy = if args.proxy.is_some() {
        args.proxy
    } else {
        let question = "What stands in front? none, haproxy, nginx, alb, nlb: ";
        asker.required("--proxy", None, question, |text| <Proxy as clap::ValueEnum>::from_str(text, true))?
    };
    if !proxy.is_some_and(|proxy| proxy != Proxy::None) {
        return Ok((proxy, None));
    }
    let question = "Its addresses, as gatepost sees them? Addresses and CIDRs separated by commas: ";
    Ok((proxy, asker.required("--trusted-proxies", args.trusted_proxies.as_deref(), question, networks)?))
}

fn asked_certificate(args: &Args, asker: &mut Asker) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
    if let Some(files) = args.cert_file.clone().zip(args.key_file.clone()) {
        return Ok(Some((absolute(&files.0)?, absolute(&files.1)?)));
    }
    if !asker.can_ask() {
        return Ok(None);
    }
    let question = "The file of the TLS certificate (PEM chain)? Empty makes a throw-away one, to try it here: ";
    let optional = |text: &str| if text.is_empty() { Ok(None) } else { file(text).map(Some) };
    let Some(Some(cert)) = asker.required("--cert-file", None, question, optional)? else { return Ok(None) };
    let key = asker.required("--key-file", None, "The file of its private key (PEM): ", file)?;
    Ok(Some(cert).zip(key))
}

fn asked_client(args: &Args, asker: &mut Asker) -> Result<Option<(PathBuf, String)>, Failure> {
    let given = args.client_ca_file.as_ref().map(|path| path.display().to_string());
    let question = "The file with the authorities of client certificates (PEM): ";
    let authorities = asker.required("--client-ca-file", given.as_deref(), question, file)?;
    let question = "A subject alternative name of the sender's certificate, such as dns:sender.example: ";
    let name = asker.required("--client-san", args.client_san.as_deref(), question, plain)?;
    Ok(authorities.zip(name))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    file(&path.display().to_string()).map_err(Failure::Usage)
}

/// A file that is there, from the root on: the daemon may be started elsewhere.
fn file(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_file() {
        return Err(format!("there is no file {text:?}"));
    }
    std::path::absolute(path).map_err(|error| format!("{text:?}: {error}"))
}

/// What can stand in quotes.
fn plain(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_control()) {
        return Err("expected some text on one line".to_owned());
    }
    Ok(text.to_owned())
}

fn allowed(text: &str) -> Result<String, String> {
    if text == "any" { Ok("\"any\"".to_owned()) } else { networks(text) }
}

/// Addresses and CIDRs as a list in TOML.
fn networks(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    let odd = words.iter().find(|word| word.parse::<IpNet>().is_err() && word.parse::<IpAddr>().is_err());
    match odd {
        Some(odd) => Err(format!("{odd:?} is neither an address nor a CIDR")),
        None if words.is_empty() => Err("expected addresses or CIDRs".to_owned()),
        None => Ok(format!("{words:?}")),
    }
}
