//! What the adapters of remote object storage share, whichever client library sends their requests.
//!
//! Downloads:
//! - [`download`]: HEAD and GET with conditions and ranges; sends one request where storage's response can be trusted.
//! - [`sent_conditions`]: the conditions that storage evaluates; the gateway evaluates the others.
//! - [`retry`]: repeats a HEAD or GET that storage did not begin to answer.
//! - [`response`]: storage's response to a HEAD or GET, checked against itself and against the request.
//!
//! Writes:
//! - [`acknowledgement`]: which responses to a writing request count as storage's own success.
//! - [`not_sent`]: failed requests that cannot have reached storage.
//!
//! Settings and texts:
//! - [`endpoint`]: endpoints of providers, and settings that no adapter can open.
//! - [`object_key`]: keys that a provider cannot hold.
//! - [`redact`]: messages of storage without signatures, for the log.

pub mod acknowledgement;
pub mod download;
pub mod endpoint;
pub mod not_sent;
pub mod object_key;
pub mod redact;
pub mod response;
pub mod retry;
mod sent_conditions;
