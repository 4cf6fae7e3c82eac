//! The deadline of an attempt, by the time that this process runs.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

/// Time is counted in steps of this: being stopped costs an attempt no more than one.
const STEP: Duration = Duration::from_secs(1);
/// A timer that fires so late says that the process was stopped (SIGSTOP, a frozen container).
const STOPPED: Duration = Duration::from_millis(500);

/// `future`, unless it takes longer than `limit`, not counting the time that the process was stopped for. What the other side
/// answered meanwhile lies in the socket's buffer; the task that reads it may run after the one that waits for it, so even at
/// the end of its time a `future` gets one more step to see it. Else it would be taken for failed and sent again.
///
/// # Errors
/// [`Elapsed`] once the limit is over.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut left) = (pin!(future), limit);
    loop {
        let (began, step) = (Instant::now(), left.min(STEP));
        let elapsed = match timeout(step, future.as_mut()).await {
            Ok(output) => return Ok(output),
            Err(elapsed) => elapsed,
        };
        let took = began.elapsed();
        let was_stopped = took > step + STOPPED;
        left = left.saturating_sub(if was_stopped { step } else { took });
        match (left.is_zero(), was_stopped) {
            (false, _) => {}
            (true, false) => return Err(elapsed),
            (true, true) => return timeout(STEP, future).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::task::yield_now;
    use tokio::time::{advance, sleep};

    use super::*;

    /// What becomes of an attempt whose process is stopped for a minute, `after` it began, and that is answered meanwhile.
    async fn answered_while_stopped(limit: Duration, after: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        let stopped = async {
            sleep(after).await;
            advance(Duration::from_mins(1)).await;
            // Timers first, whoever reads the socket after them.
            yield_now().await;
            answer.send(()).is_ok()
        };
        tokio::join!(within(limit, answered), stopped).0.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_while_the_process_was_stopped_counts() {
        for (limit, after) in [(10_000, 1_500), (10_000, 9_999), (1_000, 500), (300, 100)] {
            let (limit, after) = (Duration::from_millis(limit), Duration::from_millis(after));
            assert!(answered_while_stopped(limit, after).await, "{limit:?} {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_takes_as_long_as_it_may_and_a_step_more_after_a_stop() {
        let silence = |limit| async move {
            let began = Instant::now();
            assert!(within(Duration::from_millis(limit), std::future::pending::<()>()).await.is_err());
            began.elapsed().as_millis()
        };
        for limit in [0, 300, 1_000, 2_500, 10_000] {
            let took = silence(limit).await;
            assert!((limit..=limit + 2).contains(&u64::try_from(took).unwrap()), "{limit} {took}");
        }
        let stopped = async {
            sleep(Duration::from_millis(2_400)).await;
            advance(Duration::from_mins(1)).await;
        };
        let (took, ()) = tokio::join!(silence(2_500), stopped);
        assert!((63_400..63_500).contains(&took), "{took}");
    }
}
