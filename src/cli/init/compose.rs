//! From a plan to the texts that are written: the configuration and what its secrets hold.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::dev_certificates;
use super::plan::{Destination, Plan, Source};
use crate::scheme::{SecretOrigin, whsec};
use crate::server::starter;
use crate::settings::starter::NewSection;
use crate::{config, ingress};

const HEAD: &str = "Written by `gatepost init`: what differs from the defaults. What else there is: gatepost config \
                    reference. What is wrong with it: gatepost --config FILE check.";

/// What is to be written.
pub(super) struct Composed {
    /// The configuration.
    pub(super) text: String,
    /// Every secret.
    pub(super) secrets: Vec<NewSecret>,
    /// What the senders are to be told, one for each source.
    pub(super) senders: Vec<Sender>,
}

/// A file that holds a secret.
pub(super) struct NewSecret {
    pub(super) file: PathBuf,
    /// What it holds; nothing where somebody else makes the secret.
    pub(super) value: Option<Zeroizing<String>>,
}

/// What is pasted at a vendor, or at whoever takes the events.
pub(super) struct Sender {
    pub(super) name: String,
    pub(super) product: &'static str,
    /// What it is called and what it is, in lines.
    pub(super) told: Vec<(&'static str, String)>,
}

type Random<'a> = &'a mut dyn FnMut() -> [u8; 32];

impl Plan {
    /// The texts, with secrets made of `random`.
    pub(super) fn compose(&self, random: Random<'_>) -> Composed {
        let mut composed = Composed { text: String::new(), secrets: Vec::new(), senders: Vec::new() };
        let mut sections = vec![self.listener(), self.tls(), self.store()];
        sections.extend(self.admin(random, &mut composed.secrets));
        for source in &self.sources {
            sections.push(self.source(source, random, &mut composed));
        }
        sections.extend(self.sink(random, &mut composed));
        composed.text = config::document().starter(HEAD, &sections);
        composed
    }

    /// The configuration.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join("gatepost.toml")
    }

    /// Where throw-away certificates go.
    pub(super) fn certificates(&self) -> PathBuf {
        self.dir.join("tls")
    }

    /// Where the embedded store goes, unless the store is elsewhere.
    pub(super) fn data(&self) -> Option<PathBuf> {
        self.store.is_none().then(|| self.dir.join("data"))
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.dir.join("secrets").join(name)
    }

    fn listener(&self) -> NewSection {
        let keys = starter::listener(quoted(&self.listen), self.proxy.sends_headers(), self.trusted_proxies.clone());
        let words = self.proxy.page().map_or_else(String::new, |page| format!("What stands in front: see {page}."));
        section("[listener]", "", keys, words)
    }

    fn tls(&self) -> NewSection {
        let directory = self.certificates();
        let throw_away = [dev_certificates::CERT_FILE, dev_certificates::KEY_FILE].map(|file| directory.join(file));
        let (cert, key) = self.certificate.clone().unwrap_or_else(|| throw_away.into());
        let authorities = self.client.as_ref().map(|(authorities, _)| path(authorities));
        let keys = starter::tls(path(&cert), path(&key), authorities);
        let words =
            if self.certificate.is_none() { "A throw-away certificate: put one here that senders trust." } else { "" };
        section("[tls]", "", keys, words.to_owned())
    }

    fn store(&self) -> NewSection {
        let embedded = || format!("sqlite:{}", self.dir.join("data/gatepost.db").display());
        section("[store]", "", vec![("url", quoted(&self.store.clone().unwrap_or_else(embedded)))], String::new())
    }

    /// Nothing where the defaults do.
    fn admin(&self, random: Random<'_>, secrets: &mut Vec<NewSecret>) -> Option<NewSection> {
        let mut keys = vec![("address", quoted(&self.admin.to_string()))];
        if !self.admin.ip().to_canonical().is_loopback() {
            let file = self.secret("admin-token");
            keys.push(("token", reference(&file)));
            secrets.push(NewSecret { file, value: Some(Zeroizing::new(hex::encode(random()))) });
        }
        let default = self.admin == crate::admin::settings::ADDRESS;
        (!default).then(|| section("[admin]", "", keys, String::new()))
    }

    fn source(&self, source: &Source, random: Random<'_>, composed: &mut Composed) -> NewSection {
        let (preset, setup) = (source.preset, &source.preset.setup);
        let file = self.secret(&source.name);
        let starter = preset.scheme.starter(&path(&file), random);
        let url = format!("{}{}", self.public_url, source.path());
        let mut told = vec![("at", setup.place.to_owned()), ("URL", url)];
        let shown = self.client.as_ref().map(|(_, name)| name).filter(|_| starter.secret.is_none());
        let who = [source.name.as_str(), preset.name, &source.path()].map(quoted);
        let mut keys =
            ingress::settings::starter::source(who, self.allowed_ips.clone(), shown.map(|name| quoted(name)));
        keys.extend(setup.keys.iter().map(|(key, value)| (*key, (*value).to_owned())));
        keys.extend(starter.keys);
        if let Some(secret) = starter.secret {
            let origin = match setup.secret {
                SecretOrigin::Ours => format!("what stands in {}", file.display()),
                SecretOrigin::Vendors(place) => format!("{place}: put it into {}", file.display()),
            };
            told.push(("secret", origin));
            let value = (setup.secret == SecretOrigin::Ours).then_some(secret);
            composed.secrets.push(NewSecret { file, value });
        }
        told.extend(shown.map(|name| ("certificate", format!("one that has the name {name}"))));
        told.extend(starter.told);
        let mut section = section("[[source]]", preset.name, keys, format!("{}.", setup.product));
        source.set(&mut section.keys);
        let begun = |(key, _): &(&'static str, &str)| {
            let value = section.keys.iter().find(|(known, _)| known == key).map(|(_, value)| value)?;
            Some((*key, value.trim_matches('"').to_owned()))
        };
        told.extend(setup.keys.iter().filter_map(begun));
        told.push(("more", format!("docs/connect/{}.md", preset.name)));
        composed.senders.push(Sender { name: source.name.clone(), product: setup.product, told });
        section
    }

    fn sink(&self, random: Random<'_>, composed: &mut Composed) -> Option<NewSection> {
        let Destination::Sink { kind, url } = &self.destination else { return None };
        let mut keys = vec![("name", quoted(SINK)), ("type", quoted(kind)), ("url", quoted(url))];
        if signs(kind) {
            let file = self.secret(&format!("sink-{SINK}"));
            keys.push(("secret", reference(&file)));
            let told = vec![
                ("secret", format!("what stands in {}", file.display())),
                ("signed", "as Standard Webhooks says, which whoever takes the events can verify".to_owned()),
                ("more", "docs/explanation/delivery.md".to_owned()),
            ];
            composed.senders.push(Sender { name: format!("sink {SINK}"), product: "What gatepost sends", told });
            composed.secrets.push(NewSecret { file, value: Some(whsec(random)) });
        }
        Some(section("[[sink]]", kind, keys, String::new()))
    }
}

/// What a new sink is called.
const SINK: &str = "main";

/// Whether sinks of this type sign what they send.
fn signs(kind: &str) -> bool {
    let document = config::document();
    let chapter = document.0.iter().find(|chapter| chapter.title == "[[sink]]");
    let variant = chapter.and_then(|chapter| chapter.variants.iter().find(|variant| variant.value == kind));
    variant.is_some_and(|variant| variant.section.entries.iter().any(|entry| entry.key == Some("secret")))
}

fn section(title: &'static str, variant: &str, keys: Vec<(&str, String)>, words: String) -> NewSection {
    let keys = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    NewSection { title, variant: variant.to_owned(), keys, words }
}

/// A string as TOML; none of ours holds a control character.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn reference(file: &Path) -> String {
    format!("{{ file = {} }}", path(file))
}
