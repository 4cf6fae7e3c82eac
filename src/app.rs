//! The composition root: builds everything in dependency order, runs it, stops it.
