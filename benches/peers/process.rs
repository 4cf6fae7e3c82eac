//! A server as a process of its own: on core 0, asked to stop in the end whatever happens, killed where it does not.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cpu;
use crate::result::BenchResult;

/// How long a server may take until it listens, and until it has stopped.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// `program`, on core 0 if servers have one to themselves, and with nothing of the caller's environment but where
/// programs are; Debian has nginx and `HAProxy` where only root looks.
pub(crate) fn command(pinned: bool, program: &Path) -> Command {
    let mut command = if pinned { Command::new("taskset") } else { Command::new(program) };
    if pinned {
        command.args(["-c", "0"]).arg(program);
    }
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    command.env_clear().env("PATH", path).stdin(Stdio::null());
    command
}

/// A running server.
pub(crate) struct Process(Child);

impl Process {
    /// Starts `command` and waits until it takes connections at `address`; what it says on stderr goes to `log`.
    pub(crate) fn start(mut command: Command, address: SocketAddr, log: PathBuf) -> BenchResult<Self> {
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        let mut process = Self(command.spawn()?);
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = process.0.try_wait()?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(log)?;
                let ended = ended.map_or_else(|| "it runs".to_owned(), |status| status.to_string());
                return Err(format!("does not listen ({ended}): {said}").into());
            }
            std::thread::sleep(POLL);
        }
        Ok(process)
    }

    /// It and its children.
    pub(crate) fn family(&self) -> BenchResult<Vec<u32>> {
        cpu::family(self.0.id())
    }

    fn ended(&mut self) -> bool {
        // What cannot be asked is gone.
        self.0.try_wait().map_or(true, |status| status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended() {
            return;
        }
        let family = self.family().unwrap_or_default();
        // Asked first: a server with workers ends them itself.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let asked = Instant::now();
        while !self.ended() && asked.elapsed() < PATIENCE {
            std::thread::sleep(POLL);
        }
        if !self.ended() {
            let children = family.iter().skip(1).filter_map(|id| Pid::from_raw(i32::try_from(*id).ok()?));
            for child in children {
                let _ = kill_process(child, Signal::KILL);
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
