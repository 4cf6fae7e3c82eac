//! Several processes on one PostgreSQL: one receiver, whatever fails under or between them.

mod clocks;
mod faults;
mod haproxy;
mod migrate;
mod one_receiver;
mod paused;
mod rig;
