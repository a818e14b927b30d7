//! Redis servers, clusters and sentinels of the store tests.
#![allow(
    dead_code,
    reason = "each of the two test binaries needs its own part of it"
)]

#[path = "../../../backends/tests/stores/redis/support/cluster.rs"]
pub mod cluster;
#[path = "../../../backends/tests/stores/redis/support/monitor.rs"]
pub mod monitor;
#[path = "../../../backends/tests/stores/redis/support/sentinel.rs"]
pub mod sentinel;
#[path = "../../../backends/tests/stores/redis/support/server.rs"]
pub mod server;
