//! The control plane.

mod auth;
mod batch;
mod errors;
mod fields;
mod listing;
mod patch;
mod revoke;
