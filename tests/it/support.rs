//! Processes, clients, servers and faulty parts for the end-to-end tests.

pub mod api;
pub mod callback_receiver;
pub mod chromium;
pub mod faulty_backend;
pub mod faulty_store;
#[cfg(feature = "redis")]
pub mod fleet;
pub mod gateway;
pub mod in_process;
pub mod nginx;

pub mod process;
pub mod raw;
#[cfg(feature = "redis")]
pub mod redis;
pub mod s3;
#[path = "../../backends/tests/objects/support/scripted_storage.rs"]
pub mod scripted_storage;
#[cfg(target_os = "linux")]
pub mod small_disk;
