//! The process: command line, start and stop.

mod check;
mod config_errors;
mod embedded;
#[cfg(unix)]
mod file_permissions;
#[cfg(feature = "redis")]
mod legacy_config;
mod metrics_port;
mod restart;
