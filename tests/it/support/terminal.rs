//! A terminal that a test looks at: a program runs in it, what it shows is read, what is typed comes from the test.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A program in a terminal.
pub(crate) struct Terminal {
    /// The program.
    pub child: Child,
    keyboard: File,
    shown: JoinHandle<String>,
}

impl Terminal {
    /// Runs `command` in a terminal of so many `columns`.
    pub(crate) fn run(command: Command, columns: u16) -> Self {
        Self::begin(command, columns, None)
    }

    /// The same with its stderr elsewhere.
    pub(crate) fn run_with_stderr(command: Command, columns: u16, stderr: Stdio) -> Self {
        Self::begin(command, columns, Some(stderr))
    }

    fn begin(mut command: Command, columns: u16, stderr: Option<Stdio>) -> Self {
        let (outside, inside) = pair(columns);
        let stream = || Stdio::from(inside.try_clone().unwrap());
        let stderr = stderr.unwrap_or_else(stream);
        command.env("TERM", "xterm");
        let child = command.stdin(stream()).stdout(stream()).stderr(stderr).spawn().unwrap();
        drop((inside, command));
        let keyboard = File::from(outside.try_clone().unwrap());
        let mut screen = File::from(outside);
        let shown = std::thread::spawn(move || {
            let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
            // A terminal that nobody has open any more answers with an error.
            while let Ok(read) = screen.read(&mut bytes) {
                if read == 0 {
                    break;
                }
                shown.extend_from_slice(&bytes[..read]);
            }
            String::from_utf8_lossy(&shown).replace("\r\n", "\n")
        });
        Self { child, keyboard, shown }
    }

    /// Types `text`.
    pub(crate) fn enter(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// How the program ended, and all that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.shown.join().unwrap())
    }
}

/// Both ends of a terminal.
fn pair(columns: u16) -> (OwnedFd, OwnedFd) {
    let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&outside).unwrap();
    unlockpt(&outside).unwrap();
    tcsetwinsize(&outside, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&outside, Vec::new()).unwrap().into_string().unwrap();
    let inside = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    (outside, inside)
}
