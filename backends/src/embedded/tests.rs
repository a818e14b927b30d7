//! Tests that only the embedded store allows: its process dies, and the store is opened again.
#![allow(clippy::unwrap_used)]

mod crash;
mod crashable_store;
mod model;
mod random_operations;
mod recent_events;
mod window_bounds;
