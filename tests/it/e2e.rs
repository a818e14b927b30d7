//! Over real sockets.

mod delivery;
mod server;
