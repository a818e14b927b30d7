//! The server over raw sockets.

mod early_answers;
mod limits;
mod request_heads;
mod shutdown;
mod support;
