//! Signatures of object stores as arithmetic: a request in, headers out.
//!
//! Nothing here knows an HTTP client, a clock or a feature of Cargo: adapters say what they send and
//! when.

mod encoding;
pub mod oss_v4;
mod timestamp;
