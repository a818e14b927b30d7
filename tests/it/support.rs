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
#[path = "../../backends/tests/objects/support/scripted_storage.rs"]
pub mod scripted_storage;
#[cfg(target_os = "linux")]
pub mod small_disk;
pub mod troubles;
