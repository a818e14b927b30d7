//! AssetGateway: a temporary access gateway for object storage.
//!
//! In reading order:
//! - [`cli`]: arguments → configuration → telemetry → [`app::serve`].
//! - [`config`]: one struct for each section, read and checked before anything starts.
//! - [`telemetry`]: logs, and every metric declared once.
//! - [`app`]: the running gateway; [`shutdown`]: the stages of its end.
//! - [`http`]: every route and its handler; [`error`]: errors, their status and code.
//! - [`tokens`]: the life of a token. [`buckets`]: where objects are.
//! - [`callbacks`]: how events reach their receivers.
//! - [`media_type`], [`filename`]: parses media types, cleans file names.

pub mod app;
pub mod buckets;
pub mod callbacks;
pub mod cli;
pub mod config;
pub mod error;
pub mod filename;
pub mod http;
pub mod media_type;
pub mod shutdown;
pub mod telemetry;
pub mod tokens;
