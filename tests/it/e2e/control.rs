//! The control plane.

mod auth;
mod batch;
mod errors;
mod fields;
mod given_twice;
mod keys;
mod listing;
mod patch;
mod revoke;
mod times;
