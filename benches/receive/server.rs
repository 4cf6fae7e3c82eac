//! A or B as a process of its own: started on core 0, found by its first log line, killed in the end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::Target;
use crate::cpu::{self, CpuTime};
use crate::options::{Log, Options};
use crate::result::BenchResult;
use crate::setting::Setting;

/// How long a server may take to tell its address, or to get ready; a store of millions included.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running server.
pub(crate) struct Server {
    child: Child,
    drain: Option<JoinHandle<()>>,
    database: Option<u32>,
    started: Instant,
    admin: Option<SocketAddr>,
    /// Where to send.
    pub target: Target,
}

/// What the first record on stdout says.
#[derive(serde::Deserialize)]
struct Listening {
    message: Option<String>,
    webhook: Option<String>,
    admin: Option<String>,
}

impl Server {
    /// A: this bench as the echo.
    pub(crate) fn echo(setting: &Setting) -> BenchResult<Self> {
        let mut command = pinned(setting, std::env::current_exe()?);
        command.arg("--serve-echo").arg("--cert").arg(&setting.cert).arg("--key").arg(&setting.key);
        Self::start(command, setting, None)
    }

    /// B: the program.
    pub(crate) fn program(setting: &Setting, options: &Options) -> BenchResult<Self> {
        let program = options.program.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_gatepost")));
        let mut command = pinned(setting, program);
        command.arg("--config").arg(&setting.config).arg("serve");
        let log = if options.log == Log::File { Some(File::create(setting.dir.join("log"))?) } else { None };
        let mut server = Self::start(command, setting, log)?;
        server.database = options.database_pid;
        Ok(server)
    }

    fn start(mut command: Command, setting: &Setting, log: Option<File>) -> BenchResult<Self> {
        // Nothing of the caller's environment configures what is measured.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let told = match listening(&mut lines) {
            Ok(told) => told,
            Err(error) => {
                // It ends by itself or here; either way the first error is the one to tell.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let drain = Some(std::thread::spawn(move || drain(lines, log)));
        let target = Target::new(told.webhook.unwrap_or_default().parse()?, &setting.cert)?;
        let admin = told.admin.and_then(|address| address.parse().ok());
        Ok(Self { child, drain, database: None, started, admin, target })
    }

    /// Where its admin listener is; A has none.
    pub(crate) const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// CPU time of everything that works for this server.
    pub(crate) fn cpu(&self) -> BenchResult<CpuTime> {
        let mut processes = vec![self.child.id()];
        if let Some(database) = self.database {
            processes.extend(cpu::family(database)?);
        }
        CpuTime::of(&processes)
    }

    /// Resident memory of the server process in KiB.
    pub(crate) fn resident_kib(&self) -> BenchResult<u64> {
        cpu::resident_kib(self.child.id())
    }

    /// Waits until `/readyz` says 200 (A is ready at once); how long that was after the start.
    pub(crate) fn ready(&self) -> BenchResult<Duration> {
        let Some(admin) = self.admin else { return Ok(self.started.elapsed()) };
        while self.started.elapsed() < PATIENCE {
            let mut stream = TcpStream::connect(admin)?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            if answer.starts_with("HTTP/1.1 200") {
                return Ok(self.started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err("not ready in time".into())
    }

    /// Asks it to stop, as an operator would, and waits.
    pub(crate) fn stop(mut self) -> BenchResult<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(drain) = self.drain.take() {
            // A thread that only reads.
            let _ = drain.join();
        }
    }
}

fn pinned(setting: &Setting, program: PathBuf) -> Command {
    if !setting.pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn listening(lines: &mut BufReader<ChildStdout>) -> BenchResult<Listening> {
    let mut seen = String::new();
    loop {
        let begin = seen.len();
        if lines.read_line(&mut seen)? == 0 {
            return Err(format!("the server ended before it listened: {seen}").into());
        }
        let told: Listening = serde_json::from_str(&seen[begin..])?;
        if told.message.as_deref() == Some("listening") {
            return Ok(told);
        }
    }
}

/// Empties the pipe, as a container runtime does, into `log` or nowhere.
fn drain(mut lines: BufReader<ChildStdout>, log: Option<File>) {
    // The log of a benchmark may be cut off at its end.
    let _ = match log {
        Some(mut file) => std::io::copy(&mut lines, &mut file),
        None => std::io::copy(&mut lines, &mut std::io::sink()),
    };
}
