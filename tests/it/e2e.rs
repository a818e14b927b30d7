//! Over real sockets.

mod callbacks;
mod control;
mod crash;
mod credentials;
mod delivery;
mod go_client;
mod objects;
mod operations;
mod process;
mod server;
