//! What a daemon is told: a directory with certificates, secrets and a TOML file, or environment variables alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};

use super::certs::Ca;
use super::daemon::{Daemon, PATIENCE};
use super::sign;

/// Names another build to test instead of cargo's own: the release binary, the one out of the image.
const OTHER_BUILD: &str = "IT_GATEPOST_BINARY";

/// A configuration in the making; [`Setup::start`] runs the program on it, as often as wanted.
pub(crate) struct Setup {
    dir: Arc<tempfile::TempDir>,
    /// The authority of the certificate in `tls.crt`.
    pub ca: Arc<Ca>,
    sections: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    blocks: Vec<String>,
    env: BTreeMap<String, String>,
    file: bool,
    /// What a shell does to itself before it becomes the program.
    before: Option<String>,
}

impl Setup {
    /// A TOML file with listeners on port 0 of loopback, a fresh certificate and store, and no source.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("gatepost-it-").tempdir().unwrap();
        let ca = Ca::new();
        let (cert, key) = ca.leaf(1).write(dir.path());
        let store = dir.path().join("gatepost.db");
        let setup = Self {
            dir: Arc::new(dir),
            ca: Arc::new(ca),
            sections: BTreeMap::new(),
            blocks: Vec::new(),
            env: BTreeMap::new(),
            file: true,
            before: None,
        };
        setup
            .set("listener", "address", "\"127.0.0.1:0\"")
            .set("tls", "cert_file", &quoted(&cert))
            .set("tls", "key_file", &quoted(&key))
            .set("store", "url", &format!("\"sqlite:{}\"", store.display()))
            .set("admin", "address", "\"127.0.0.1:0\"")
            .set("shutdown", "drain_delay", "\"1s\"")
            .set("shutdown", "drain_timeout", "\"10s\"")
    }

    /// One source of every preset, each at its default path, with the secrets that [`sign::Signer::of`] uses.
    pub(crate) fn every_preset() -> Self {
        sign::PRESETS.iter().fold(Self::new(), |setup, preset| setup.preset(preset))
    }

    /// No file at all: listeners, certificate, store and allowlist by environment. Sources are the test's to add.
    pub(crate) fn env_only() -> Self {
        let setup = Self { file: false, ..Self::new() };
        let path = |name: &str| setup.path(name).display().to_string();
        let pairs = [
            ("TLS_CERT_FILE", path("tls.crt")),
            ("TLS_KEY_FILE", path("tls.key")),
            ("GATEPOST_LISTEN", "127.0.0.1:0".to_owned()),
            ("GATEPOST_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("GATEPOST_ALLOWED_IPS", "127.0.0.1".to_owned()),
            ("GATEPOST_STORE", format!("sqlite:{}", path("gatepost.db"))),
        ];
        pairs.into_iter().fold(setup, |setup, (name, value)| setup.env(name, &value))
    }

    /// Sets `key` of `[section]` to `value`, written as TOML.
    pub(crate) fn set(mut self, section: &'static str, key: &'static str, value: &str) -> Self {
        self.sections.entry(section).or_default().insert(key, value.to_owned());
        self
    }

    /// Takes `[section]` away.
    pub(crate) fn without_section(mut self, section: &str) -> Self {
        self.sections.remove(section);
        self
    }

    /// Adds text at the end of the file: a `[[source]]`, a `[[sink]]`.
    pub(crate) fn block(mut self, toml: &str) -> Self {
        self.blocks.push(toml.to_owned());
        self
    }

    /// Replaces text in what [`Setup::block`] and its like added, where it must stand.
    pub(crate) fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(self.blocks.iter().any(|block| block.contains(from)), "{from} stands nowhere");
        self.blocks.iter_mut().for_each(|block| *block = block.replace(from, to));
        self
    }

    /// Takes away every block that holds `text`.
    pub(crate) fn without_block(mut self, text: &str) -> Self {
        self.blocks.retain(|block| !block.contains(text));
        self
    }

    /// Adds the source `name` of `preset`; `rest` holds its further keys, `allowed_ips` loopback unless it stands there.
    pub(crate) fn source(self, name: &str, preset: &str, rest: &str) -> Self {
        let ips = if rest.contains("allowed_ips") { "" } else { "allowed_ips = [\"127.0.0.0/8\"]\n" };
        self.block(&format!("[[source]]\nname = \"{name}\"\npreset = \"{preset}\"\n{ips}{rest}\n"))
    }

    /// Adds the source `preset`, named like it, at its default path, verified by its test secret.
    pub(crate) fn preset(self, preset: &str) -> Self {
        let verifier = self.verifier(preset);
        self.source(preset, preset, &verifier.1).env(&verifier.0, &sign::secret_of(preset))
    }

    /// Adds a source `name` of `preset` at `path`, verified by the preset's test secret.
    pub(crate) fn preset_at(self, name: &str, preset: &str, path: &str, rest: &str) -> Self {
        let (variable, keys) = self.verifier(preset);
        self.source(name, preset, &format!("path = \"{path}\"\n{keys}\n{rest}"))
            .env(&variable, &sign::secret_of(preset))
    }

    #[expect(clippy::unused_self, reason = "reads as part of the builder")]
    fn verifier(&self, preset: &str) -> (String, String) {
        let variable = format!("IT_{}", preset.to_uppercase().replace('-', "_"));
        let keys = if preset == "cxone" {
            format!(
                "region = \"{}\"\nkeys = [{{ access_key_id = \"{}\", secret = {{ env = \"{variable}\" }} }}]",
                sign::REGION,
                sign::ACCESS_KEY
            )
        } else {
            format!("secrets = [{{ env = \"{variable}\" }}]")
        };
        (variable, keys)
    }

    /// Sets an environment variable of the program; what was set before under that name is replaced.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes an environment variable away.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Lets the program have at most `most` descriptors.
    pub(crate) fn open_files(self, most: u32) -> Self {
        Self { before: Some(format!("ulimit -n {most}")), ..self }
    }

    /// Lets the program begin with at most `most` descriptors, and ask for more.
    pub(crate) fn open_files_at_first(self, most: u32) -> Self {
        Self { before: Some(format!("ulimit -S -n {most}")), ..self }
    }

    /// Lets the program run on one core, as a container with a share of one does.
    pub(crate) fn one_core(self) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        let first = allowed.trim().split(['-', ',']).next().unwrap();
        Self { before: Some(format!("taskset -cp {first} $$ >/dev/null")), ..self }
    }

    /// A path in the directory of this setup.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the directory and gives its path as TOML text.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        quoted(&self.path(name))
    }

    /// Writes the configuration file as it now stands, whole: a rename, as editors and Kubernetes do.
    pub(crate) fn save(&self) -> PathBuf {
        let mut text = String::new();
        for (section, keys) in &self.sections {
            let _ = writeln!(text, "[{section}]");
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        for block in &self.blocks {
            let _ = writeln!(text, "{block}");
        }
        let (fresh, path) = (self.path("gatepost.toml.new"), self.path("gatepost.toml"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
        path
    }

    /// The program with this configuration and nothing else in its environment, ready for arguments.
    pub(crate) fn command(&self) -> Command {
        let program = std::env::var_os(OTHER_BUILD).unwrap_or_else(|| env!("CARGO_BIN_EXE_gatepost").into());
        let mut command = Command::new("/bin/sh");
        if let Some(before) = &self.before {
            command.arg("-c").arg(format!("{before} && exec \"$0\" \"$@\"")).arg(program);
        } else {
            command = Command::new(program);
        }
        command.env_clear().envs(&self.env).current_dir(self.dir.path()).stdin(Stdio::null());
        if self.file {
            command.arg("--config").arg(self.save());
        }
        command
    }

    /// Runs a subcommand to its end, which must come within a test's patience.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(&[], arguments)
    }

    /// The same with further variables.
    #[track_caller]
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.envs(variables.iter().copied());
        let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let (done, over) = std::sync::mpsc::sync_channel(1);
        let runner = std::thread::spawn(move || {
            let output = child.wait_with_output().unwrap();
            let _ = done.send(());
            output
        });
        let late = over.recv_timeout(PATIENCE).is_err();
        if late {
            kill_process(pid, Signal::KILL).unwrap();
        }
        let output = runner.join().unwrap();
        assert!(!late, "{arguments:?} does not end: {}", String::from_utf8_lossy(&output.stdout));
        output
    }

    /// Runs `serve` and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        Daemon::start(self)
    }

    /// Every secret the program was given by environment.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let secret = |name: &str| name.contains("SECRET") || name.contains("TOKEN") || name.starts_with("IT_");
        let values = self.env.iter().filter(|(name, _)| secret(name) && !name.ends_with("_FILE"));
        values.flat_map(|(_, value)| value.split(',')).filter(|value| value.len() >= 12).map(str::to_owned).collect()
    }

    /// Keeps the directory alive.
    pub(crate) fn directory(&self) -> Arc<tempfile::TempDir> {
        Arc::clone(&self.dir)
    }
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}
