//! The life of a token: issued, redeemed (reserve, then commit or release), revoked.
//!
//! In reading order: [`secret`] (a token and its digest), [`issue`] (a request becomes a record),
//! [`policy`] (addresses, referers and start times), [`redeem`] (one access), [`lease`] (a hit that is
//! held while bytes move), [`upload`] (the upload protocol and its recovery), [`maintenance`]
//! (background tasks).
//!
//! Nothing here knows HTTP: handlers in `http` extract, call and answer.

pub mod issue;
pub mod lease;
pub mod maintenance;
pub mod policy;
pub mod redeem;
pub mod secret;
pub mod upload;

pub use redeem::{Redeemer, Ticket};
pub use secret::{Digester, TokenSecret};
