//! What only the embedded store can be asked: it is killed and opened again.
#![allow(clippy::unwrap_used)]

mod crash;
mod fresh;
mod hits;
mod model;
mod windows;
mod world;
