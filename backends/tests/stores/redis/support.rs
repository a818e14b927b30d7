//! Servers that tests start for themselves, and what they can do to them.

pub mod cluster;
pub mod monitor;
pub mod proxy;
pub mod sentinel;
pub mod server;
