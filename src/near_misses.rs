//! Requests to paths that no source takes and that are close to one that some source takes: what a sender's slip looks
//! like. In memory, bounded in number and in what looking costs; scanners of the Internet are far from everything.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::event::Name;
use crate::settings::nearest;

/// Different paths that are kept; the one that was asked for longest ago goes first.
const KEPT: usize = 64;
/// Paths that are compared in one second: a flood of unknown ones costs no more.
const COMPARED: u32 = 20;
/// Longer paths are no slip of anybody's.
const LONGEST: usize = 200;

/// See the head of this file; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NearMisses(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    kept: Vec<NearMiss>,
    second: i64,
    compared: u32,
}

/// Requests to one such path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NearMiss {
    /// As it was asked for, without query.
    pub path: String,
    /// The source that was probably meant.
    pub source: Name,
    /// That source's path.
    pub expected: String,
    /// How many.
    pub count: u64,
    /// When the last one came.
    pub last: Timestamp,
    /// From where that came, as far as that can be told.
    pub client_ip: Option<IpAddr>,
}

impl NearMisses {
    /// Counts a request to `path`, which none of `sources` takes, where it is close to the path of one; gives that one's
    /// position.
    pub(crate) fn note<'a>(
        &self,
        path: &str,
        client_ip: Option<IpAddr>,
        now: Timestamp,
        sources: &(impl Iterator<Item = (&'a Name, &'a str)> + Clone),
    ) -> Option<usize> {
        if path.len() > LONGEST || !self.may_compare(now) {
            return None;
        }
        let at = closest(path, sources.clone().map(|(_, path)| path))?;
        let (source, expected) = sources.clone().nth(at)?;
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = inner.kept.iter().position(|miss| miss.path == path);
        let count = known.map_or(0, |known| inner.kept.remove(known).count) + 1;
        if inner.kept.len() == KEPT {
            inner.kept.remove(0);
        }
        let (path, source, expected) = (path.to_owned(), source.clone(), expected.to_owned());
        inner.kept.push(NearMiss { path, source, expected, count, last: now, client_ip });
        Some(at)
    }

    /// What is kept, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<NearMiss> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.iter().rev().cloned().collect()
    }

    fn may_compare(&self, now: Timestamp) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.second != now.as_second() {
            (inner.second, inner.compared) = (now.as_second(), 0);
        }
        inner.compared += 1;
        inner.compared <= COMPARED
    }
}

/// The position of the one of `paths` that `asked` is a slip of: a few letters, or something put in front or left out there.
fn closest<'a>(asked: &str, paths: impl Iterator<Item = &'a str>) -> Option<usize> {
    let known: Vec<String> = paths.map(str::to_ascii_lowercase).collect();
    let asked = asked.to_ascii_lowercase();
    // The root is the end of everything.
    let end = |whole: &str, end: &str| end.len() > 1 && whole.ends_with(end);
    let by_end = || known.iter().position(|path| end(&asked, path) || end(path, &asked));
    let slip = nearest(&asked, known.iter().map(String::as_str));
    slip.and_then(|slip| known.iter().position(|path| path == slip)).or_else(by_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 3] = ["/webhook/cognigy", "/webhooks/nice", "/webhooks/cxone/emea"];

    #[test]
    fn slips_are_close_and_scanners_are_not() {
        for (asked, at) in [
            ("/webhook/cognigy/", Some(0)),
            ("/webhooks/cognigy", Some(0)),
            ("/Webhook/Cognigy", Some(0)),
            ("/webhook/NICE", Some(1)),
            ("/nice", Some(1)),
            ("/prod/webhooks/cxone/emea", Some(2)),
            ("/", None),
            ("/wp-login.php", None),
            ("/.env", None),
        ] {
            assert_eq!(closest(asked, PATHS.into_iter()), at, "{asked}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_so_is_looking() {
        let (misses, source) = (NearMisses::default(), Name::from("nice"));
        let sources = [(&source, "/webhooks/nice")].into_iter();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for n in 0..100 {
            assert_eq!(misses.note(&format!("/{n}/webhooks/nice"), None, at(n), &sources), Some(0));
        }
        let kept = misses.list();
        assert_eq!((kept.len(), kept[0].path.as_str()), (KEPT, "/99/webhooks/nice"));
        assert_eq!(misses.note("/99/webhooks/nice", None, at(200), &sources), Some(0));
        assert_eq!((misses.list()[0].count, misses.list()[0].last), (2, at(200)));
        let noted = (0..100).filter(|_| misses.note("/x/webhooks/nice", None, at(300), &sources).is_some()).count();
        assert_eq!(noted, COMPARED as usize);
        assert_eq!(misses.note(&format!("/{}/webhooks/nice", "x".repeat(200)), None, at(400), &sources), None);
    }
}
