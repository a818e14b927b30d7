//! What only the embedded store can be asked: it is killed and opened again.
#![allow(clippy::unwrap_used)]

mod crash;
mod hits;
mod model;
mod recent_events;
mod windows;
mod world;
