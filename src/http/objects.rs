//! The data plane, `/object/{token}`: handlers that extract, call the domain and answer.
//!
//! [`get`], [`head`] and [`put`] are the methods. `range` and `representation` read request headers,
//! `checksum` verifies a body, [`response`] writes the headers of downloads.

mod checksum;
pub mod get;
pub mod head;
pub mod put;
pub mod range;
mod representation;
pub mod response;
