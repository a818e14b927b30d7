//! End-to-end tests over real sockets.

mod callbacks;
mod control;
mod crash;
mod credentials;
mod delivery;
#[cfg(feature = "redis")]
mod fleet;
#[cfg(target_os = "linux")]
mod full_disk;
mod go_client;
mod maintenance;
mod network;
mod objects;
mod operations;
mod process;
mod server;
