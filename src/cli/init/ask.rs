//! Questions at a terminal for what no flag said; where there is no terminal, the flags that are missing.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::super::failure::Failure;
use super::super::output;

/// Asks for what nobody said.
pub(super) struct Asker {
    terminal: bool,
    missing: Vec<&'static str>,
}

impl Asker {
    /// Asks where somebody can read and type.
    pub(super) fn of_process() -> Self {
        Self { terminal: io::stdin().is_terminal() && io::stderr().is_terminal(), missing: Vec::new() }
    }

    /// Whether somebody can be asked.
    pub(super) const fn can_ask(&self) -> bool {
        self.terminal
    }

    /// What `read` makes of what `flag` says, else of the answer to `question`, until it makes something of it. Without a
    /// terminal the flag is noted as missing.
    pub(super) fn required<T>(
        &mut self,
        flag: &'static str,
        given: Option<&str>,
        question: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        if let Some(text) = given {
            return read(text).map(Some).map_err(|problem| Failure::Usage(format!("{flag}: {problem}")));
        }
        if !self.terminal {
            self.missing.push(flag);
            return Ok(None);
        }
        loop {
            match read(&answer(question)?) {
                Ok(value) => return Ok(Some(value)),
                Err(problem) => output::tell(&format!("  {problem}")),
            }
        }
    }

    /// Every flag that was missed, as one failure.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let missing = self.missing.join(", ");
        Err(Failure::Usage(format!("there is no terminal to ask at: say {missing} (gatepost init --help)")))
    }
}

/// A line of what is typed.
fn answer(question: &str) -> Result<String, Failure> {
    output::prompt(question);
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err(Failure::Usage("broken off: nothing was written".to_owned())),
        Ok(_) => Ok(line.trim().to_owned()),
        Err(error) => Err(Failure::runtime("cannot read the answer", &error)),
    }
}
