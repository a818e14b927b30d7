//! The process: its command line, its start, its end.

mod check;
mod embedded;
mod metrics_port;
mod restart;
