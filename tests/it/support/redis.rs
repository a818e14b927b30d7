//! Redis servers, clusters and sentinels of the store tests.
#![allow(
    dead_code,
    reason = "each of the two test binaries needs its own part of it"
)]

#[path = "../../../backends/tests/stores/redis/cluster.rs"]
pub mod cluster;
#[path = "../../../backends/tests/stores/redis/monitor.rs"]
pub mod monitor;
#[path = "../../../backends/tests/stores/redis/sentinel.rs"]
pub mod sentinel;
#[path = "../../../backends/tests/stores/redis/server.rs"]
pub mod server;
