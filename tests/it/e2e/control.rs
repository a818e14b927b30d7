//! The control plane.

mod auth;
mod batch;
mod duplicate_fields;
mod errors;
mod fields;
mod keys;
mod listing;
mod patch;
mod revoke;
mod times;
