//! The files a configuration was read from, each with what told it apart just before it was read.
//!
//! Looking, not being told: it also sees the symlink swap of a Kubernetes secret and files on network file systems. What
//! changes while it is being read differs from what was noted, and is seen at the next look.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What tells a changed file: which one it is behind all symlinks, its size, its times. `None` where there is none.
type Print = Option<[i64; 7]>;

/// Files and their prints.
#[derive(Clone, Debug, Default)]
pub struct Watched(BTreeMap<PathBuf, Print>);

impl Watched {
    /// Notes `file`, which is to be read after this; one that was noted already keeps its first print.
    pub fn insert(&mut self, file: PathBuf) {
        self.0.entry(file).or_insert_with_key(|file| print(file));
    }

    /// Notes several.
    pub fn extend(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        files.into_iter().for_each(|file| self.insert(file));
    }

    /// Whether `file` is among them.
    #[must_use]
    pub fn contains(&self, file: &Path) -> bool {
        self.0.contains_key(file)
    }

    /// All of them, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// Whether one of them is not any more what it was when it was noted. Blocking: asks the file system.
    #[must_use]
    pub fn have_changed(&self) -> bool {
        self.0.iter().any(|(file, noted)| print(file) != *noted)
    }

    /// The same files as they are now, so that only what changes from now on counts. Blocking.
    #[must_use]
    pub fn again(&self) -> Self {
        Self(self.0.keys().map(|file| (file.clone(), print(file))).collect())
    }
}

fn print(file: &Path) -> Print {
    let found = fs::metadata(file).ok()?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    let [mtime, mtime_nsec, ctime, ctime_nsec] = times;
    Some([whole(found.dev()), whole(found.ino()), whole(found.size()), mtime, mtime_nsec, ctime, ctime_nsec])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a"), dir.path().join("b"));
        let (link, missing) = (dir.path().join("link"), dir.path().join("missing"));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "one").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut watched = Watched::default();
        watched.extend([file.clone(), link.clone(), missing.clone()]);
        assert!(watched.contains(&missing) && !watched.have_changed());

        fs::write(&missing, "now there").unwrap();
        assert!(watched.have_changed());
        let watched = watched.again();
        assert!(!watched.have_changed());

        fs::write(&file, "longer").unwrap();
        assert!(watched.have_changed());
        let watched = watched.again();
        // As Kubernetes does it: the link points to another file of the same size.
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(watched.have_changed());
        let watched = watched.again();
        fs::remove_file(&other).unwrap();
        assert!(watched.have_changed());
    }

    #[test]
    fn a_file_noted_twice_keeps_its_first_print() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, "old").unwrap();
        let mut watched = Watched::default();
        watched.insert(file.clone());
        fs::write(&file, "rotated meanwhile").unwrap();
        watched.insert(file);
        assert!(watched.have_changed(), "it may have been read before it changed");
    }
}
