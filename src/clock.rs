//! What time it is, as a parameter: the clocks of the system in the daemon, hand-moved ones in tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// A wall clock that is handed to whoever needs the time; cheap to clone. Anybody may set it at any moment: what
/// decides goes by [`BootClock`] or by the store.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `at` until [`Clock::advance`] moves it; all clones move together.
    #[must_use]
    pub fn manual(at: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.as_millisecond()))))
    }

    /// The time now; a manual clock counts in whole milliseconds.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => Timestamp::now(),
            Some(millis) => Timestamp::from_millisecond(millis.load(Ordering::Acquire)).unwrap_or(Timestamp::MAX),
        }
    }

    /// Moves a manual clock forward; the system clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.0 {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::AcqRel);
        }
    }

    /// Sets a manual clock, as an operator or a time server does; the system clock is left alone.
    pub fn set(&self, at: Timestamp) {
        if let Some(millis) = &self.0 {
            millis.store(at.as_millisecond(), Ordering::Release);
        }
    }
}

/// Time since the machine started (`CLOCK_BOOTTIME`): counts what it slept, is the same for all its processes, and no
/// setting of the wall clock moves it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BootClock(Option<Arc<ManualBoot>>);

#[derive(Debug)]
struct ManualBoot {
    id: Option<String>,
    micros: AtomicU64,
}

impl BootClock {
    /// The system's.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A machine whose start is called `id` (`None`: nobody knows) and was `up` ago, until [`BootClock::advance`] lets
    /// time pass; all clones move together.
    #[must_use]
    pub fn manual(id: Option<&str>, up: Duration) -> Self {
        let micros = AtomicU64::new(u64::try_from(up.as_micros()).unwrap_or(u64::MAX));
        Self(Some(Arc::new(ManualBoot { id: id.map(str::to_owned), micros })))
    }

    /// How long ago the machine started.
    #[must_use]
    pub fn now(&self) -> Duration {
        match &self.0 {
            None => {
                let up = clock_gettime(ClockId::Boottime);
                Duration::new(u64::try_from(up.tv_sec).unwrap_or(0), u32::try_from(up.tv_nsec).unwrap_or(0))
            }
            Some(manual) => Duration::from_micros(manual.micros.load(Ordering::Acquire)),
        }
    }

    /// Which start of the machine this is: times of two processes may be compared where their ids are equal. `None`
    /// where the system does not say.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match &self.0 {
            None => {
                let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
                // A container may count from another beginning (time_namespaces(7)).
                let counts_from = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
                Some(format!("{} {}", boot.trim(), counts_from.display()))
            }
            Some(manual) => manual.id.clone(),
        }
    }

    /// Lets time pass on a manual clock; the system's is left alone.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            manual.micros.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
    }
}

/// A point in time as a sender claims it: whole seconds since 1970, any value at all.
///
/// Wider than [`Timestamp`] on purpose: a claim of `9223372036854775807` is out of the window, not malformed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// How far two points are apart, in seconds; never overflows (plain subtraction lets `now - 2^63` in).
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }
}

impl From<Timestamp> for UnixSeconds {
    fn from(at: Timestamp) -> Self {
        Self(at.as_second())
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_with_its_clones() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(other.now().as_second(), 5);
    }

    #[test]
    fn the_time_since_boot_goes_on_and_names_its_boot() {
        let clock = BootClock::system();
        let before = clock.now();
        assert!(before > Duration::ZERO && clock.now() >= before);
        assert_eq!(clock.id(), BootClock::system().id());
        let manual = BootClock::manual(None, Duration::from_secs(3));
        manual.clone().advance(Duration::from_micros(5));
        assert_eq!((manual.now(), manual.id()), (Duration::from_micros(3_000_005), None));
    }

    #[test]
    fn distance_survives_the_extremes() {
        assert_eq!(UnixSeconds(i64::MIN).abs_diff(UnixSeconds(i64::MAX)), u64::MAX);
        assert_eq!(UnixSeconds(10).abs_diff(UnixSeconds(310)), 300);
    }
}
