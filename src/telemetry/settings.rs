//! `[log]`

use tracing_subscriber::EnvFilter;

use crate::settings::kind::{choice, text};
use crate::settings::{Diagnostics, Table, key};

/// Wherever it is set to something, a terminal gets no colours.
const NO_COLOR: &str = "NO_COLOR";

/// What a line of the log looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For human eyes.
    Pretty {
        /// Whether a terminal may be given colours (<https://no-color.org>).
        colour: bool,
    },
}

/// `[log]`: its format, which a reload cannot change, and its filter, which one can.
pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> (Format, String) {
    let format = key(
        "format",
        "\"json\": one object a line on stdout; \"pretty\": for human eyes.",
        choice(&[("json", Format::Json), ("pretty", Format::Pretty { colour: true })]),
    )
    .variable("GATEPOST_LOG_FORMAT")
    .takes_a_restart()
    .or(Format::Json, table, diagnostics);
    let filter = key("filter", "A filter as in RUST_LOG.", text(filter, "a filter as in RUST_LOG"))
        .variable("GATEPOST_LOG")
        .or("info".to_owned(), table, diagnostics);
    let colourless = diagnostics.foreign_variable(NO_COLOR).is_some_and(|value| !value.is_empty());
    let format = match format {
        Format::Pretty { .. } => Format::Pretty { colour: !colourless },
        Format::Json => Format::Json,
    };
    (format, filter)
}

fn filter(text: &str) -> Result<String, String> {
    let wanted = "expected a filter as in RUST_LOG, such as \"info\" or \"info,gatepost=debug\"";
    if text.trim().is_empty() {
        return Err(format!("{wanted}, found nothing"));
    }
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| format!("{wanted}: {error}"))
}
