//! Decorators that measure the operations of any store or backend.

mod object_backend;
mod token_store;

pub use object_backend::MeteredBackend;
pub use token_store::MeteredStore;

use std::time::Instant;

use crate::error::{ErrorKind, Result};

/// Histogram, seconds, by `operation` and `outcome`.
pub const TOKEN_STORE_SECONDS: &str = "asset_gateway_token_store_operation_duration_seconds";
/// Histogram, seconds, by `bucket` alias, `operation` and `outcome`.
pub const STORAGE_SECONDS: &str = "asset_gateway_storage_operation_duration_seconds";

/// Value of the label `outcome`: `ok`, or the kind of the error.
fn outcome<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => match error.kind {
            ErrorKind::NotFound => "not_found",
            ErrorKind::NotModified => "not_modified",
            ErrorKind::PreconditionFailed => "precondition_failed",
            ErrorKind::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            ErrorKind::InvalidKey => "invalid_key",
            ErrorKind::Timeout => "timeout",
            ErrorKind::NoAnswer => "no_answer",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Busy { .. } => "busy",
            ErrorKind::Upstream => "upstream",
            ErrorKind::Corrupt => "corrupt",
        },
    }
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}
