//! The one integration binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod e2e;
mod support;
