//! Object backends: the conformance suite for each, and what is each one's own.

#![allow(clippy::unwrap_used, reason = "in a test it is an assertion")]

mod fs;
mod memory;
mod s3;
mod seaweedfs;
mod support;
