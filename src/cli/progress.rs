//! How far something long is, on a terminal's stderr and nowhere else; it is gone when it ends.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::interval;

/// Where there are figures; nothing of it is wider than 80 columns.
const BAR: &str = "{wide_bar} {human_pos} of {human_len} {msg}, {eta} left";
/// Where there are none.
const UNDER_WAY: &str = "{spinner} {msg}, {elapsed}";
/// Between two looks at a file that grows.
const LOOK: Duration = Duration::from_millis(200);

/// A bar, or nothing where nobody looks on. Shown from the first figure on.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar that counts what `what` says.
    pub(super) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(what);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// A sign that something is under way of which nobody knows how far it is, in the words of `what`.
    pub(super) fn of_unknown(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(what);
        if let Ok(style) = ProgressStyle::with_template(UNDER_WAY) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(LOOK);
        Self(bar)
    }

    /// `done` of `all` are done.
    pub(super) fn tell(&self, done: u64, all: u64) {
        self.0.set_length(all.max(done));
        self.0.set_position(done);
    }

    /// One more of `all` is done.
    pub(super) fn add(&self, all: u64) {
        self.0.set_length(all);
        self.0.inc(1);
    }

    /// Waits for `work`, which writes about `all` bytes into `file`.
    pub(super) async fn watch_file<T>(&self, file: &Path, all: u64, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut looks = interval(LOOK);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = looks.tick() => self.tell(std::fs::metadata(file).map_or(0, |file| file.len()), all),
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
