//! The process: command line, start and stop.

mod check;
mod config_errors;
mod embedded;
#[cfg(unix)]
mod file_permissions;
#[cfg(feature = "redis")]
mod legacy_config;
#[cfg(target_os = "linux")]
mod log_output;
mod metrics_port;
mod restart;
