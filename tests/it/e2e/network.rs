//! What a client, and whoever stands between it and the gateway, can do with bytes on the wire.

mod cases;
mod forwarded;
mod framing;
mod http2_memory;
mod nginx;
mod proxy_protocol;
