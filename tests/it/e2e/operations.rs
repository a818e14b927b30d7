//! What is around the planes: health, metrics, routes, protocols, what must not be said.

mod cors;
mod health;
mod http2;
mod malformed_requests;
mod malicious_input;
mod metrics;
mod openapi;
mod routes;
mod secrets;
