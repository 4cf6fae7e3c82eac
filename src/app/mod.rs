//! The composition root: builds everything in dependency order, binds its sockets, runs it, stops it.
//!
//! The only place that sees every concrete type; imported by `main` and `cli` alone.

mod assembly;
mod boot;
mod certificates;
mod check;
mod dispatchers;
mod live;
mod maintenance;
mod open_files;
pub mod orphans;
mod reload;
mod run;
mod signals;
mod skew;

pub use self::assembly::Loader;
pub use self::boot::{App, AppError};
pub use self::check::check;
pub use self::run::Exit;
pub use self::signals::{OnHangup, Signal, Signals};
