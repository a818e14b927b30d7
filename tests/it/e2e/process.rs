//! The process: its command line, its start, its end.

mod check;
mod embedded;
#[cfg(feature = "redis")]
mod first;
mod metrics_port;
mod refusals;
mod restart;
#[cfg(unix)]
mod rights;
