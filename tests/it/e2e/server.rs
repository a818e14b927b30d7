//! The HTTP server over raw sockets, without the gateway.

mod early_answers;
mod limits;
mod request_heads;
mod shutdown;
mod support;
