//! Ports and adapters of asset-gateway. Nothing here knows HTTP.
//!
//! In reading order:
//! - [`error`]: the one error type, by the kinds that callers branch on.
//! - [`clock`]: where time comes from.
//! - [`settings`]: what an adapter needs to be opened; every backend is listed, compiled in or not.
//! - [`private_files`]: folders and files that only the gateway's user may enter or read.
//! - [`reserved_keys`]: keys that the gateway keeps for itself.
//! - [`credentials_file`]: a storage credential in the format of Amazon's shared credentials file.
//! - [`caller`], [`event`]: who accessed an object, and what a callback reports of it.
//! - [`token_store`], [`callback_queue`], [`object_backend`]: the three ports. Each trait's
//!   documentation is its contract.
//! - `embedded`: one implementation of the store and the queue, over sled or memory.
//! - `redis` (feature `redis`): another one, shared by many nodes.
//! - [`transfer`]: a whole store to an archive and back, to move it to another engine.
//! - [`open`]: settings to `Arc<dyn …>`; the only place that picks by feature.
//! - [`metered`]: decorators that time any store or backend.
//! - `conformance` (feature `conformance`): one suite of cases that every adapter passes.

pub mod callback_queue;
pub mod caller;
pub mod client_address;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod credentials_file;
mod embedded;
pub mod error;
pub mod event;
pub mod metered;
pub mod object_backend;
pub mod open;
pub mod private_files;
#[cfg(feature = "redis")]
mod redis;
pub mod reserved_keys;
pub mod settings;
mod sync_folders;
mod token_record;
pub mod token_store;
pub mod transfer;

pub use error::{BackendError, ErrorKind};
