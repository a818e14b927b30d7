//! What a client, and whoever stands between it and the gateway, can do with bytes on the wire.

mod forwarded;
mod http2_memory;
mod nginx;
mod proxy_protocol;
mod request_framing;
mod smuggling_cases;
