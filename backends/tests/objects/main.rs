//! Object backends: the conformance suite for each, and tests of single adapters.

#![allow(clippy::unwrap_used, reason = "in a test it is an assertion")]

mod fs;
mod memory;
mod s3;
mod seaweedfs;
mod support;
