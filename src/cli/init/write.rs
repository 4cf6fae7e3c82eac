//! Puts what was composed on the disk: secrets for their owner alone, the configuration last and at once.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::super::failure::Failure;
use super::compose::{Composed, NewSecret};
use super::plan::Plan;

/// What became of a secret's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// It was made.
    Made,
    /// It was there and is as it was: a sender may use it.
    Before,
    /// It was made, and somebody has to put a secret into it.
    Empty,
}

/// Refuses to write over a configuration.
pub(super) fn refuse_existing(file: &Path, force: bool) -> Result<(), Failure> {
    if force || fs::symlink_metadata(file).is_err() {
        return Ok(());
    }
    Err(Failure::Usage(format!("{} is there already: nothing was written; --force overwrites it", file.display())))
}

/// Writes everything; what became of each secret, in their order.
pub(super) fn write(plan: &Plan, composed: &Composed) -> Result<Vec<Kept>, Failure> {
    private(&plan.dir.join("secrets"))?;
    if let Some(data) = plan.data() {
        private(&data)?;
    }
    let kept = composed.secrets.iter().map(secret).collect::<Result<_, _>>()?;
    let file = plan.file();
    let new = file.with_extension("toml.new");
    let written = fs::write(&new, &composed.text).and_then(|()| fs::rename(&new, &file));
    written.map_err(|error| cannot_write(&file, &error))?;
    Ok(kept)
}

/// A directory that only its owner may look into.
fn private(directory: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| cannot_write(directory, &error))
}

fn secret(NewSecret { file, value }: &NewSecret) -> Result<Kept, Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let text = value.as_ref().map_or("", |value| value.as_str());
    match opened.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())) {
        Ok(()) if value.is_none() => Ok(Kept::Empty),
        Ok(()) => Ok(Kept::Made),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let filled = fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0);
            Ok(if filled { Kept::Before } else { Kept::Empty })
        }
        Err(error) => Err(cannot_write(file, &error)),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::runtime(format_args!("cannot write {}", path.display()), error)
}
