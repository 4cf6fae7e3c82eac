//! How many bytes of bodies may be in flight at once. Beyond that, 503 at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::metrics::Metrics;

use super::reject::Reject;

/// Bodies up to this size, which is most webhooks, may use the whole budget.
const SMALL: usize = 64 * 1024;
/// The part of the budget, as a divisor, that larger bodies leave to small ones: whoever pushes megabytes cannot keep
/// everybody else out.
const RESERVE: usize = 8;

/// The memory that all bodies in flight share.
pub struct BodyBudget {
    limit: AtomicUsize,
    used: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl BodyBudget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit: AtomicUsize::new(limit), used: AtomicUsize::new(0), metrics }
    }

    /// A budget of `limit` bytes from now on; what is charged stays charged.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
    }

    /// A charge of nothing yet, for a body that says it has `declared` bytes (0 where it does not say).
    #[must_use]
    pub const fn open(self: Arc<Self>, declared: usize) -> Charge {
        Charge { budget: self, declared, bytes: 0 }
    }
}

/// What one body holds of the budget; given back when dropped. Once the body is whole its charge goes with its bytes
/// ([`Charge::hold`]), for a request may be answered while its body still waits in the store's queue.
pub struct Charge {
    budget: Arc<BodyBudget>,
    /// Decides only whether the body is a small one; nothing is charged by it.
    declared: usize,
    bytes: usize,
}

impl Charge {
    /// Raises the charge to `bytes` in all. A large body that is alone may use the whole budget, too.
    ///
    /// # Errors
    /// [`Reject::Overloaded`] where the budget has no room; the charge stays as it was.
    pub fn raise_to(&mut self, bytes: usize) -> Result<(), Reject> {
        let more = bytes.saturating_sub(self.bytes);
        let budget = &self.budget;
        let held = self.bytes;
        let whole = budget.limit.load(Ordering::Acquire);
        let room = |used: usize| {
            let all = bytes.max(self.declared) <= SMALL || used == held;
            let limit = if all { whole } else { whole - whole / RESERVE };
            used.checked_add(more).filter(|total| *total <= limit)
        };
        budget.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).map_err(|_| Reject::Overloaded)?;
        budget.metrics.body_memory.inc_by(signed(more));
        self.bytes += more;
        Ok(())
    }

    /// `body` as bytes that hold this charge until the last clone of them is dropped, wherever that is.
    #[must_use]
    pub fn hold(mut self, body: Bytes) -> Bytes {
        if body.len() > SMALL {
            return Bytes::from_owner(Held { body, _charge: self });
        }
        // A small body is a slice of a read buffer that may be many times as large, and would keep all of it.
        let body = Box::<[u8]>::from(body.as_ref());
        self.lower_to(body.len());
        Bytes::from_owner(Held { body, _charge: self })
    }

    /// Gives back what is more than `bytes`.
    fn lower_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.budget.used.fetch_sub(less, Ordering::AcqRel);
        self.budget.metrics.body_memory.dec_by(signed(less));
        self.bytes -= less;
    }
}

/// A body and what it holds of the budget.
struct Held<B> {
    body: B,
    _charge: Charge,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Held<B> {
    fn as_ref(&self) -> &[u8] {
        self.body.as_ref()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.lower_to(0);
    }
}

/// Memory sizes fit an `i64`.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_leave_room_for_small_ones_and_one_alone_has_it_all() {
        let limit = 16 * SMALL;
        let budget = Arc::new(BodyBudget::new(limit, Arc::new(Metrics::new())));
        let mut large = Arc::clone(&budget).open(0);
        assert!(large.raise_to(limit).is_ok(), "alone it may fill the budget");
        drop(large);
        let (mut one, mut two) = (Arc::clone(&budget).open(0), Arc::clone(&budget).open(0));
        assert!(one.raise_to(10 * SMALL).is_ok());
        assert!(two.raise_to(4 * SMALL).is_ok());
        assert_eq!(two.raise_to(5 * SMALL), Err(Reject::Overloaded), "the last eighth is not for large bodies");
        let mut small = Arc::clone(&budget).open(0);
        assert!(small.raise_to(SMALL / 2).is_ok());
        let mut growing = Arc::clone(&budget).open(2 * SMALL);
        assert_eq!(growing.raise_to(1), Err(Reject::Overloaded), "a large body is one from its first byte");
    }

    #[test]
    fn the_limit_can_change_while_bodies_are_in_flight() {
        let budget = Arc::new(BodyBudget::new(100, Arc::new(Metrics::new())));
        let mut one = Arc::clone(&budget).open(0);
        assert!(one.raise_to(80).is_ok());
        budget.set_limit(50);
        assert_eq!(Arc::clone(&budget).open(0).raise_to(1), Err(Reject::Overloaded));
        budget.set_limit(200);
        assert!(Arc::clone(&budget).open(0).raise_to(120).is_ok());
        drop(one);
        assert_eq!(budget.used.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_charge_counts_once_and_comes_back() {
        let metrics = Arc::new(Metrics::new());
        let budget = Arc::new(BodyBudget::new(100, Arc::clone(&metrics)));
        let mut one = Arc::clone(&budget).open(0);
        assert!(one.raise_to(60).is_ok());
        assert!(one.raise_to(60).is_ok());
        let mut two = Arc::clone(&budget).open(0);
        assert_eq!(two.raise_to(41), Err(Reject::Overloaded));
        assert!(two.raise_to(40).is_ok());
        assert_eq!(metrics.body_memory.get(), 100);
        drop(one);
        assert!(two.raise_to(100).is_ok());
        drop(two);
        assert_eq!(metrics.body_memory.get(), 0);
    }

    #[test]
    fn a_body_holds_its_charge_as_long_as_anybody_holds_the_body() {
        for size in [0, 10, SMALL, SMALL + 1] {
            let metrics = Arc::new(Metrics::new());
            let budget = Arc::new(BodyBudget::new(4 * SMALL, Arc::clone(&metrics)));
            let mut charge = Arc::clone(&budget).open(0);
            // A buffer may have grown past what it holds.
            assert!(charge.raise_to(size + 5).is_ok());
            let body = charge.hold(Bytes::from(vec![b'x'; size]));
            let kept = body.slice(..size / 2);
            drop(body);
            let held = if size <= SMALL { size } else { size + 5 };
            // An empty slice holds nothing on to.
            let held = if kept.is_empty() { 0 } else { held };
            assert_eq!(metrics.body_memory.get(), signed(held), "{size}");
            drop(kept);
            assert_eq!(metrics.body_memory.get(), 0, "{size}");
        }
    }
}
