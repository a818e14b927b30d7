//! Several gateways on one Redis, as real processes.
//!
//! - `concurrent_clients`: requests to all nodes while one node is killed.
//! - `mixed_traffic`: requests of every kind, with a record of what was acknowledged.

mod callbacks;
mod concurrent_clients;
mod full_memory;
mod hits;
#[cfg(feature = "aws")]
mod interrupted_import;
mod lease_expiry;
mod mixed_traffic;
mod paused_node;
mod redis_commands;
mod redis_outage;
mod revocation;
#[cfg(feature = "aws")]
mod store_move;
mod topologies;
mod upload_recovery;
