//! Over real sockets.

mod crash;
mod delivery;
mod server;
