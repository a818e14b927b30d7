//! Several gateways on one Redis, as real processes.
//!
//! - `crowd`: requests from all sides while one node is killed.
//! - `traffic`: work of every kind that remembers what was acknowledged.

mod callbacks;
mod commands;
mod crowd;
mod full;
mod hits;
mod leases;
#[cfg(feature = "aws")]
mod moved;
#[cfg(feature = "aws")]
mod moved_by_half;
mod outage;
mod revoked;
mod settling;
mod stopped;
mod topologies;
mod traffic;
