//! One batch at a time: what waits goes out as soon as the batch before has come back, or has taken long.
//!
//! Knows neither events nor the database; whoever inserts a batch is handed out with it and comes back.

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::timeout;

/// In one batch, at most.
const BATCH: usize = 256;
/// Bytes of one batch: no more is added once it has so many. A message of a gigabyte is refused by the server, and
/// whoever waits behind a large one waits for all of it.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Batches in flight, at most.
const IN_FLIGHT: usize = 2;
/// How long a batch has the database to itself. Measured with 16, 64 and 256 senders: one batch after the other is as
/// fast as two at once and costs a fifth less, because batches are larger. A second one is for commits that take long.
const ALONE: Duration = Duration::from_millis(20);

/// Hands out what waits until the queue is closed and empty, then waits for what is in flight. `bytes` says how large
/// one is, `worker` makes those that `send` inserts with.
pub(super) async fn hand_out<T, W, F>(
    mut waiting: mpsc::Receiver<T>,
    bytes: impl Fn(&T) -> usize,
    worker: impl Fn() -> W,
    send: impl Fn(W, Vec<T>) -> F,
) where
    W: Send + 'static,
    F: Future<Output = W> + Send + 'static,
{
    // One who panicked is replaced; those in his batch have been told by the loss of their reply.
    let back = |ended: Result<W, JoinError>| ended.unwrap_or_else(|_| worker());
    let mut idle: Vec<W> = (0..IN_FLIGHT).map(|_| worker()).collect();
    let mut busy = JoinSet::new();
    loop {
        let Some(first) = waiting.recv().await else { break };
        others_first(&waiting).await;
        let batch = gather(first, &mut waiting, &bytes);
        while let Some(ended) = busy.try_join_next() {
            idle.push(back(ended));
        }
        let ready = match (idle.pop(), busy.is_empty()) {
            (Some(ready), _) => ready,
            (None, true) => worker(),
            (None, false) => busy.join_next().await.map_or_else(&worker, back),
        };
        let latest = busy.spawn(send(ready, batch)).id();
        let alone = async {
            // Others that come back meanwhile were slow, and are no reason to send the next.
            while let Some(ended) = busy.join_next_with_id().await {
                let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
                idle.push(back(ended.map(|(_, worker)| worker)));
                if id == latest {
                    return;
                }
            }
        };
        // Late: the next one leaves beside it.
        let _ = timeout(ALONE, alone).await;
    }
    while busy.join_next().await.is_some() {}
}

/// Lets those come first who are ready, as long as that brings more: what they bring shares the batch, of which the database
/// pays for each. It is no delay: whoever is not ready is not waited for.
async fn others_first<T>(waiting: &mpsc::Receiver<T>) {
    let mut before = 0;
    loop {
        yield_now().await;
        let now = waiting.len();
        if now == before || now >= BATCH {
            return;
        }
        before = now;
    }
}

/// `first` and what waits behind it, as far as it fits.
fn gather<T>(first: T, waiting: &mut mpsc::Receiver<T>, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut held = bytes(&first);
    batch.push(first);
    while batch.len() < BATCH
        && held < BATCH_BYTES
        && let Ok(next) = waiting.try_recv()
    {
        held = held.saturating_add(bytes(&next));
        batch.push(next);
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Sends numbers that each take so many milliseconds, 1 ms apart; how many were in flight when each began.
    async fn in_flight(took: &[u64]) -> Vec<usize> {
        let (queue, waiting) = mpsc::channel(1);
        let (now, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let (counted, noted) = (Arc::clone(&now), Arc::clone(&seen));
        let send = move |(), batch: Vec<u64>| {
            let (now, seen) = (Arc::clone(&counted), Arc::clone(&noted));
            async move {
                seen.lock().unwrap().push(now.fetch_add(1, Ordering::SeqCst) + 1);
                tokio::time::sleep(Duration::from_millis(batch.iter().copied().max().unwrap())).await;
                now.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let feed = async move {
            for took in took {
                queue.send(*took).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::join!(hand_out(waiting, |_| 1, || (), send), feed);
        assert_eq!(now.load(Ordering::SeqCst), 0, "waits for what is in flight");
        seen.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn quick_batches_go_one_after_the_other() {
        assert!(in_flight(&[5; 30]).await.iter().all(|number| *number == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn beside_a_slow_one_goes_one_other_and_afterwards_they_go_alone_again() {
        let mut took = vec![100];
        took.extend([5; 80]);
        let seen = in_flight(&took).await;
        assert_eq!(seen.iter().max(), Some(&2));
        assert!(seen.ends_with(&[1; 10]), "{seen:?}");
        assert!(in_flight(&[100; 6]).await.iter().all(|number| *number <= 2));
    }

    #[tokio::test]
    async fn whoever_is_ready_shares_the_batch() {
        let (queue, waiting) = mpsc::channel(100);
        let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&sizes);
        let send = move |(), batch: Vec<u8>| {
            noted.lock().unwrap().push(batch.len());
            async {}
        };
        let mut senders = JoinSet::new();
        for turns in 0..10 {
            let queue = queue.clone();
            senders.spawn(async move {
                for _ in 0..turns {
                    yield_now().await;
                }
                queue.send(turns).await.unwrap();
            });
        }
        drop(queue);
        hand_out(waiting, |_| 1, || (), send).await;
        assert_eq!(*sizes.lock().unwrap(), [10], "each turn brought one more");
    }

    #[test]
    fn a_batch_is_bounded_in_number_and_in_bytes() {
        let (queue, mut waiting) = mpsc::channel(1000);
        let mut gathered = |sizes: &[usize]| {
            for size in sizes {
                queue.try_send(*size).unwrap();
            }
            let first = waiting.try_recv().unwrap();
            let batch = gather(first, &mut waiting, |size| *size).len();
            while waiting.try_recv().is_ok() {}
            batch
        };
        assert_eq!(gathered(&[1; 300]), 256);
        assert_eq!(gathered(&[1 << 20; 300]), 8);
        assert_eq!(gathered(&[100 << 20, 1]), 1, "one that is larger goes alone");
        assert_eq!(gathered(&[1, 100 << 20, 1]), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_panics_is_replaced() {
        let (queue, waiting) = mpsc::channel(8);
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let send = move |(), _: Vec<u8>| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            async move { assert!(number >= 3, "as told") }
        };
        let feed = async move {
            for _ in 0..6 {
                queue.send(0).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::join!(hand_out(waiting, |_| 1, || (), send), feed);
        assert_eq!(begun.load(Ordering::SeqCst), 6);
    }
}
