//! Health, metrics, routes, protocols, malformed input and secrets.

mod cors;
mod health;
mod http2;
mod malformed_requests;
mod malicious_input;
mod metrics;
mod openapi;
mod routes;
mod secrets;
