//! Logging: one JSON object a line on stdout, through a bounded queue that never blocks whoever logs.
