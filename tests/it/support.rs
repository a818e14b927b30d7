//! What the tests over real sockets stand on.

pub mod api;
pub mod chromium;
pub mod described;
pub mod fake_storage;
pub mod faults;
#[cfg(feature = "redis")]
pub mod fleet;
pub mod gateway;
pub mod hooks;
pub mod in_process;
pub mod nginx;
pub mod process;
pub mod raw;
#[cfg(feature = "redis")]
pub mod redis;
pub mod troubles;
