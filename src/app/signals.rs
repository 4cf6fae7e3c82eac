//! The signals of the process, as a stream that tests can play themselves.

use std::future::poll_fn;
use std::io::{self, IsTerminal as _};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::task::Poll;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal as Kind;
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
const STRAY: [(Kind, &str); 10] = [
    (Kind::USR1, "SIGUSR1"),
    (Kind::USR2, "SIGUSR2"),
    (Kind::ALARM, "SIGALRM"),
    (Kind::STKFLT, "SIGSTKFLT"),
    (Kind::XCPU, "SIGXCPU"),
    (Kind::XFSZ, "SIGXFSZ"),
    (Kind::VTALARM, "SIGVTALRM"),
    (Kind::PROF, "SIGPROF"),
    (Kind::IO, "SIGIO"),
    (Kind::POWER, "SIGPWR"),
];
/// The real-time signals of Linux that its C libraries leave to programs.
const REAL_TIME: RangeInclusive<i32> = 35..=64;
/// How often a terminal is asked whether it is still there: the signal may go to another process.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
    stray: Vec<(&'static str, Stream)>,
    /// Which of the standard streams are a terminal to watch.
    terminals: [bool; 3],
    /// Whether the terminal is known to be gone: that comes as a signal and is seen, and counts once.
    left: bool,
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
            _ => [false; 3],
        };
        let stray = STRAY.iter().map(|(kind, name)| (kind.as_raw(), *name));
        let stray = stray.chain(REAL_TIME.map(|number| (number, "a real-time signal")));
        let stray = stray.filter_map(|(number, name)| Some((name, signal(SignalKind::from_raw(number)).ok()?)));
        Ok(Self::Process(Process {
            stop: [terminate?, interrupt?, quit?],
            hangup: if outlives { None } else { Some(signal(SignalKind::hangup())?) },
            on_hangup,
            stray: stray.collect(),
            terminals,
            left: false,
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

/// What one of the streams had.
enum Heard {
    Meant(Signal),
    /// The terminal is gone.
    Left,
    Stray(&'static str),
}

impl Process {
    async fn next(&mut self) -> Signal {
        loop {
            let watched = if self.left { [false; 3] } else { self.terminals };
            let heard = tokio::select! {
                heard = self.heard() => heard,
                () = gone(watched) => Heard::Left,
            };
            match heard {
                Heard::Meant(signal) => return signal,
                Heard::Left if self.left => {}
                Heard::Left => {
                    self.left = true;
                    tracing::info!("the terminal is gone: stopping");
                    return Signal::Stop;
                }
                Heard::Stray(name) => tracing::warn!("{name} means nothing here and is ignored"),
            }
        }
    }

    async fn heard(&mut self) -> Heard {
        poll_fn(|cx| {
            for stream in &mut self.stop {
                if stream.poll_recv(cx).is_ready() {
                    return Poll::Ready(Heard::Meant(Signal::Stop));
                }
            }
            if let Some(hangup) = &mut self.hangup
                && hangup.poll_recv(cx).is_ready()
            {
                return Poll::Ready(match self.on_hangup {
                    OnHangup::Stop => Heard::Left,
                    OnHangup::Reload => Heard::Meant(Signal::Reload),
                });
            }
            let stray =
                self.stray.iter_mut().find_map(|(name, stream)| stream.poll_recv(cx).is_ready().then_some(*name));
            stray.map_or(Poll::Pending, |name| Poll::Ready(Heard::Stray(name)))
        })
        .await
    }
}

/// Waits until one of the terminals is closed; for ever where there is none.
async fn gone(terminals: [bool; 3]) {
    if terminals == [false; 3] {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
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
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut asked, Some(&at_once)).is_ok_and(|found| found > 0) && asked[0].revents().intersects(gone)
}

/// Whether this process was started with SIGHUP ignored. What cannot be asked is not.
fn hangup_is_ignored() -> bool {
    // Bit n-1 of the mask is signal n, and SIGHUP is 1.
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & 1 == 1)
}
