//! Ports and adapters of asset-gateway. The crate knows no HTTP server and no handler.
//!
//! In reading order:
//! - [`error`]: the error of all ports, by the kinds that callers tell apart.
//! - [`clock`]: the clock port.
//! - [`settings`]: settings of all adapters, compiled in or not.
//! - [`client_address`], [`caller`]: who accesses an object.
//! - [`event`]: a callback event, and the attempts to deliver it.
//! - [`token_store`], [`callback_queue`], [`object_backend`]: the three ports. The documentation of
//!   each trait is its contract.
//! - `embedded`: token store and callback queue on one key-value store, sled or memory.
//! - `redis` (feature `redis`): token store and callback queue on Redis, shared by several nodes.
//! - [`private_files`]: folders and files that only the gateway's user may enter or read.
//! - [`reserved_keys`]: keys that the gateway keeps for itself.
//! - [`credentials_file`]: a storage credential in the format of Amazon's shared credentials file.
//! - `signing`: signatures of object stores as arithmetic.
//! - [`open`]: opens stores and buckets; the only place that selects by feature.
//! - [`metered`]: decorators that measure any store or backend.
//! - [`transfer`]: exports and imports of whole token stores.
//! - `conformance` (feature `conformance`): the test suites that every adapter passes.
#![warn(missing_docs)]

/// Unit tests share the servers of the integration tests.
#[cfg(test)]
extern crate self as asset_gateway_backends;

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
#[cfg(feature = "opendal")]
mod signing;
mod sync_folders;
mod token_record;
pub mod token_store;
pub mod transfer;

pub use error::{BackendError, ErrorKind};
