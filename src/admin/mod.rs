//! The admin listener: probes and metrics over plain HTTP.
