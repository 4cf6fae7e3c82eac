//! The signals of the process, as a stream that tests can play themselves.

use std::future::poll_fn;
use std::io::{self, IsTerminal as _};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::task::Poll;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal as OsSignal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM, SIGINT or SIGQUIT: drain; the second one: stop now.
    Stop,
    /// SIGHUP: read everything again.
    Reload,
}

/// What SIGHUP means, the signal of a terminal that was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnHangup {
    /// A daemon has no terminal: whoever sends it wants a reload.
    Reload,
    /// Somebody watches at a terminal: when it goes, so does the program, and its ports are free again.
    Stop,
}

/// Signals that would kill and mean nothing here. (Rust ignores SIGPIPE already.) SIGXFSZ is sent where a file would
/// outgrow a limit; without it the write fails, and that is handled.
const IGNORED: [(OsSignal, &str); 10] = [
    (OsSignal::USR1, "SIGUSR1"),
    (OsSignal::USR2, "SIGUSR2"),
    (OsSignal::ALARM, "SIGALRM"),
    (OsSignal::STKFLT, "SIGSTKFLT"),
    (OsSignal::XCPU, "SIGXCPU"),
    (OsSignal::XFSZ, "SIGXFSZ"),
    (OsSignal::VTALARM, "SIGVTALRM"),
    (OsSignal::PROF, "SIGPROF"),
    (OsSignal::IO, "SIGIO"),
    (OsSignal::POWER, "SIGPWR"),
];
/// The real-time signals of Linux that its C libraries leave to programs.
const REAL_TIME: RangeInclusive<i32> = 35..=64;
/// How often a terminal is asked whether it is still there: the signal may go to another process.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// Where signals come from.
pub enum Signals {
    /// The operating system.
    Process(Process),
    /// Somebody in this process.
    Channel(mpsc::Receiver<Signal>),
}

/// The streams of the operating system.
pub struct Process {
    /// SIGTERM, SIGINT, SIGQUIT.
    stop: [Stream; 3],
    /// SIGHUP, where it is ours to hear.
    hangup: Option<Stream>,
    on_hangup: OnHangup,
    ignored: Vec<(&'static str, Stream)>,
    /// Which of the standard streams are a terminal to watch.
    terminals: [bool; 3],
    /// Whether the terminal is known to be gone: that comes as a signal and is seen, and counts once.
    terminal_lost: bool,
}

impl Signals {
    /// Listens for every signal that would end the process, so that none does.
    ///
    /// # Errors
    /// Where the process may not install handlers.
    pub fn of_process(on_hangup: OnHangup) -> io::Result<Self> {
        let stop = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
        let [terminate, interrupt, quit] = stop.map(signal);
        // `nohup` asks for exactly this: to outlive the terminal.
        let outlives = on_hangup == OnHangup::Stop && hangup_is_ignored();
        let terminals = match on_hangup {
            OnHangup::Stop if !outlives => terminals(),
            OnHangup::Stop | OnHangup::Reload => [false; 3],
        };
        let ignored = IGNORED.iter().map(|(kind, name)| (kind.as_raw(), *name));
        let ignored = ignored.chain(REAL_TIME.map(|number| (number, "a real-time signal")));
        let ignored = ignored.filter_map(|(number, name)| Some((name, signal(SignalKind::from_raw(number)).ok()?)));
        Ok(Self::Process(Process {
            stop: [terminate?, interrupt?, quit?],
            hangup: if outlives { None } else { Some(signal(SignalKind::hangup())?) },
            on_hangup,
            ignored: ignored.collect(),
            terminals,
            terminal_lost: false,
        }))
    }

    /// The next one; a channel that has closed asks to stop.
    pub async fn next(&mut self) -> Signal {
        match self {
            Self::Process(process) => process.next().await,
            Self::Channel(signals) => signals.recv().await.unwrap_or(Signal::Stop),
        }
    }
}

enum Received {
    Signal(Signal),
    TerminalLost,
    Ignored(&'static str),
}

impl Process {
    async fn next(&mut self) -> Signal {
        loop {
            let watched = if self.terminal_lost { [false; 3] } else { self.terminals };
            let received = tokio::select! {
                received = self.receive() => received,
                () = terminal_lost(watched) => Received::TerminalLost,
            };
            match received {
                Received::Signal(signal) => return signal,
                Received::TerminalLost if self.terminal_lost => {}
                Received::TerminalLost => {
                    self.terminal_lost = true;
                    tracing::info!("the terminal is gone: stopping");
                    return Signal::Stop;
                }
                Received::Ignored(name) => tracing::warn!("{name} means nothing here and is ignored"),
            }
        }
    }

    async fn receive(&mut self) -> Received {
        poll_fn(|cx| {
            for stream in &mut self.stop {
                if stream.poll_recv(cx).is_ready() {
                    return Poll::Ready(Received::Signal(Signal::Stop));
                }
            }
            if let Some(hangup) = &mut self.hangup
                && hangup.poll_recv(cx).is_ready()
            {
                return Poll::Ready(match self.on_hangup {
                    OnHangup::Stop => Received::TerminalLost,
                    OnHangup::Reload => Received::Signal(Signal::Reload),
                });
            }
            let ignored =
                self.ignored.iter_mut().find_map(|(name, stream)| stream.poll_recv(cx).is_ready().then_some(*name));
            ignored.map_or(Poll::Pending, |name| Poll::Ready(Received::Ignored(name)))
        })
        .await
    }
}

/// Waits until one of the terminals is closed; for ever where there is none.
async fn terminal_lost(terminals: [bool; 3]) {
    if terminals == [false; 3] {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let [stdin, stdout, stderr] = terminals;
        if (stdin && hung_up(&io::stdin())) || (stdout && hung_up(&io::stdout())) || (stderr && hung_up(&io::stderr()))
        {
            return;
        }
    }
}

fn terminals() -> [bool; 3] {
    [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()]
}

/// Asks without waiting and without reading: what is typed is not ours.
fn hung_up(terminal: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(terminal, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let lost = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut asked, Some(&at_once)).is_ok_and(|found| found > 0)
        && asked.iter().any(|terminal| terminal.revents().intersects(lost))
}

/// Whether this process was started with SIGHUP ignored. What cannot be asked is not.
fn hangup_is_ignored() -> bool {
    // Bit n-1 of the mask is signal n, and SIGHUP is 1.
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & 1 == 1)
}
