//! AssetGateway: a temporary access gateway for object storage.
//!
//! In reading order:
//! - [`cli`]: arguments → configuration → telemetry → [`app::serve`].
//! - [`config`]: one struct for each section, read and checked before anything starts.
//! - [`telemetry`]: logs, and every metric declared once.
//! - [`app`]: the running gateway, from start to end; [`shutdown`]: in which order it ends.
//! - [`http`]: every route, and what clients see; [`error`]: what they see when it goes wrong.
//! - [`tokens`]: the life of a token. [`buckets`]: where objects are.
//! - [`callbacks`]: how events reach their receivers.
//! - [`media_type`], [`filename`]: what browsers and people read in a name.

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
