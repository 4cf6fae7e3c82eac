//! From the store to the sinks: retries, ends, crashes, and that in the end everything is delivered.

mod crash;
mod in_memory;
mod liveness;
mod one_core;
mod orphans;
mod sqlite;
mod stopped;
