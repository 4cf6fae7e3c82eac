//! The command line, with and without a daemon beside it.

mod backup;
mod dev;
mod docs;
mod explain;
mod init;
mod listings;
mod offline;
mod operations;
mod tail;
mod terminal;
