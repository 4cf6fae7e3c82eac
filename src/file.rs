//! Reads files that somebody named in a configuration: only what is a file, and never more than was expected of it.

use std::fs::{FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The bytes of the regular file at `path` (symbolic links are followed), at most `max` of them.
///
/// Opening a FIFO waits until somebody writes, and some devices never end: neither is opened, so that no start and no
/// reload hangs on a wrong path.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::InvalidInput`] for what is no regular file, [`io::ErrorKind::FileTooLarge`]
/// for more than `max` bytes. The text says what it is instead.
pub(crate) fn read_regular(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    only_regular(std::fs::metadata(path)?.file_type())?;
    // It may have become something else since it was looked at: opened without waiting, and looked at again.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    only_regular(metadata.file_type())?;
    // Room for all of it at once: a secret that is moved while it grows leaves copies behind.
    let room = usize::try_from(metadata.len().min(max)).unwrap_or(0) + 1;
    let mut bytes = Vec::with_capacity(room);
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {max} bytes")));
    }
    Ok(bytes)
}

fn only_regular(kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a regular file")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn refused(path: &Path) -> String {
        read_regular(path, 16).unwrap_err().to_string()
    }

    #[test]
    fn files_are_read_also_through_symbolic_links() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&path, "sixteen-bytes-ok").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [&path, &link] {
            assert_eq!(read_regular(path, 16).unwrap(), b"sixteen-bytes-ok");
        }
        let error = read_regular(&path, 15).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(&path, "").unwrap();
        assert_eq!(read_regular(&path, 0).unwrap(), b"");
    }

    #[test]
    fn what_is_no_file_is_refused_in_words_and_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        assert!(refused(&fifo).contains("a FIFO"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        assert!(refused(&link).contains("a FIFO"));
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(refused(&socket).contains("a socket"));
        assert!(refused(dir.path()).contains("a directory"));
        assert!(refused(Path::new("/dev/zero")).contains("a device"));
        assert_eq!(read_regular(&dir.path().join("none"), 16).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
