//! The running gateway: built from the configuration, served until a signal stops it.

mod serve;

pub use serve::{ServeError, serve};
