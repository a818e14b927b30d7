//! What is around the planes: health, metrics, routes, protocols, what must not be said.

mod bad_heads;
mod bad_input;
mod cors;
mod h2c;
mod health;
mod metrics;
mod openapi;
mod routes;
mod secrets;
