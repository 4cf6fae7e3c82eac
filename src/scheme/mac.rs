//! A MAC.
