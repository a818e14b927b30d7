//! Several gateways on one Redis, as real processes.
//!
//! - `crowd`: requests from all sides while one node is killed.
//! - `traffic`: work of every kind that remembers what was acknowledged.

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
