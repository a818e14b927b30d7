//! What several tests need.

pub mod process;
