//! Ports and adapters of asset-gateway. Nothing here knows HTTP.
//!
//! In reading order:
//! - [`error`]: the one error type, by the kinds that callers branch on.
//! - [`clock`]: where time comes from.
//! - [`settings`]: what an adapter needs to be opened; every backend is listed, compiled in or not.
//! - [`private`]: folders and files that nobody else may read.
//! - [`reserved`]: keys that are the gateway's own.
//! - [`keys_file`]: keys of storage in a file, as Amazon's tools write them.
//! - [`token_store`], [`callback_queue`], [`object_backend`]: the three ports. Each trait's
//!   documentation is its contract.
//! - `embedded`: one implementation of the store and the queue, over sled or memory.
//! - `redis` (feature `redis`): another one, shared by many nodes.
//! - [`transfer`]: a whole store to an archive and back, to move it to another engine.
//! - [`open`]: settings to `Arc<dyn …>`; the only place that picks by feature.
//! - [`metered`]: decorators that time any store or backend.
//! - `conformance` (feature `conformance`): one suite of cases that every adapter passes.

pub mod callback_queue;
pub mod client_address;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(any(feature = "sled", feature = "opendal"))]
mod durable;
mod embedded;
pub mod error;
pub mod keys_file;
pub mod metered;
pub mod object_backend;
pub mod open;
pub mod private;
#[cfg(feature = "redis")]
mod redis;
pub mod reserved;
pub mod settings;
pub mod token_store;
pub mod transfer;

pub use error::{BackendError, ErrorKind};
