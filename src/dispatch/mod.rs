//! Dispatch: from the store to the sinks.
