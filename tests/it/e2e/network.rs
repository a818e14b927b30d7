//! Message framing, proxies and connection limits, on the wire.

mod forwarded;
mod http2_memory;
mod nginx;
mod proxy_protocol;
mod request_framing;
mod smuggling_cases;
