//! Logging: one JSON object a line on stdout, through a bounded queue that never blocks whoever logs.
//!
//! Panics become records too, so that nothing on stdout is ever anything but JSON.

mod filter;
mod json;
mod pretty;
mod queue;
pub(crate) mod settings;

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::filter::SharedFilter;
use self::queue::{Queue, WriterThread};
pub use self::settings::Format;

/// Keeps the log running; when dropped, writes what is still queued.
pub(crate) struct Telemetry {
    queue: Queue,
    filter: SharedFilter,
    _writer: WriterThread,
}

impl Telemetry {
    /// Lines lost so far because stdout could not be written, or not fast enough.
    #[must_use]
    pub(crate) fn dropped_lines(&self) -> u64 {
        self.queue.dropped()
    }

    /// Logs by `filter` from now on.
    ///
    /// # Errors
    /// [`TelemetryError`] for a filter that is none; the one before stays.
    pub(crate) fn set_filter(&self, filter: &str) -> Result<(), TelemetryError> {
        self.filter.replace(EnvFilter::builder().parse(filter)?);
        Ok(())
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// Not a filter as `RUST_LOG` knows them.
    #[error("log.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The system gives no thread for it.
    #[error("cannot start the logging thread: {0}")]
    Thread(#[from] io::Error),
    /// There is a subscriber already.
    #[error("logging is already set up in this process")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Checks a filter without starting anything.
///
/// # Errors
/// [`TelemetryError::Filter`]
pub(crate) fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    EnvFilter::builder().parse(filter).map(drop).map_err(Into::into)
}

/// Starts logging to stdout, for the whole process.
///
/// # Errors
/// [`TelemetryError`] for a filter that is none, or a second start.
pub(crate) fn start(format: Format, filter: &str) -> Result<Telemetry, TelemetryError> {
    let filter = SharedFilter::new(EnvFilter::builder().parse(filter)?);
    let queue = Queue::default();
    let writer = WriterThread::start(&queue, stdout()?, report_loss)?;
    tracing::subscriber::set_global_default(subscriber(for_stdout(format), filter.clone(), queue.clone()))?;
    log_panics();
    Ok(Telemetry { queue, filter, _writer: writer })
}

/// Stdout itself: the standard library's keeps back what it could not write, and writes it again with the next line.
fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Says on stderr, for there is no other way left, that lines are lost.
fn report_loss(error: &io::Error) {
    let metric = "gatepost_log_lines_dropped_total";
    let words =
        format!("gatepost: log lines cannot be written to stdout ({error}): they are lost, {metric} counts them");
    // Nobody is left to tell that stderr is closed too.
    let _ = writeln!(io::stderr().lock(), "{words}");
}

/// `format` without colours, where stdout is no terminal.
fn for_stdout(format: Format) -> Format {
    match format {
        Format::Json => Format::Json,
        Format::Pretty { colour } => Format::Pretty { colour: colour && io::stdout().is_terminal() },
    }
}

/// What turns events into lines on `writer`.
fn subscriber<F, W>(format: Format, filter: F, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    F: Layer<Registry> + Send + Sync + 'static,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        Format::Json => Box::new(registry.with(layer.event_format(json::JsonLine))),
        Format::Pretty { colour } => Box::new(registry.with(layer.event_format(pretty::PrettyLine { colour }))),
    }
}

/// Logs a panic as a record instead of text on stderr. The task it happened in ends; the daemon goes on.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(target: "gatepost::panic", message, location, "a task panicked: please report this");
    }));
}
