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
//! - [`upload_outcome`]: outcomes of upload requests; [`upload_task`]: tasks that outlive their caller.
//! - [`not_sent`]: failed requests that cannot have reached storage.
//!
//! The connection, settings and texts:
//! - [`http_client`], [`timeouts`]: the client below every client library, and its time limits.
//! - [`clouds`]: the table of providers and adapters: endpoints, keys, signatures, path style.
//! - [`redact`]: messages of storage without signatures, for the log.

pub mod acknowledgement;
pub mod clouds;
pub mod download;
pub mod http_client;
pub mod not_sent;
pub mod redact;
pub mod response;
pub mod retry;
mod sent_conditions;
#[cfg(feature = "conformance")]
pub mod test_resolver;
pub mod timeouts;
pub mod upload_outcome;
pub mod upload_task;
