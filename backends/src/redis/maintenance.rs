//! What keeps the store in order, without a request: heartbeats, sweeps.
//!
//! - `background`: what each node does by itself, every second.
//! - `heartbeat`: how a node shows that it is alive, and how others find out that it is dead.
//! - `sweep`: deletes what is over, and hands out what has to be recovered. The gateway calls it.

pub mod background;
pub mod heartbeat;
mod sweep;
