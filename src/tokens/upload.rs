//! The upload protocol, and the recovery of uploads that a dead node left finalising.

pub mod multipart;
pub mod recovery;
