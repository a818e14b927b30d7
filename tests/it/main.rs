//! The integration tests, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod docs;
mod e2e;
mod fuzz_corpora;
mod pages;
mod support;
