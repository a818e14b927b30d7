//! What nodes do without being asked.

pub mod background;
mod heartbeat;
mod sweep;
