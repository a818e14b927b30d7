//! The life of a token: issued, redeemed (reserve, then commit or release), settled, revoked.
//!
//! In reading order: [`secret`] (a token and its digest), [`issue`] (what may be asked for),
//! [`policy`] (who may come in), [`redeem`] (one access), [`lease`] (held while bytes move),
//! [`lost`] (a lease that is over too early), [`upload`] (the upload protocol and its recovery),
//! [`maintenance`] (what runs beside the requests).

pub mod issue;
pub mod lease;
pub mod lost;
pub mod maintenance;
pub mod policy;
pub mod redeem;
pub mod secret;
pub mod upload;

pub use lost::AccessLease;
pub use redeem::{Redeemer, Ticket};
pub use secret::{Digester, TokenSecret};
