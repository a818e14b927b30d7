//! The server over raw sockets.

mod ends;
mod heads;
mod limits;
mod support;
mod uploads;
