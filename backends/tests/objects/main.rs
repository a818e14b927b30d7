//! Object backends: the conformance suite for each, and what is each one's own.

#![allow(clippy::unwrap_used, reason = "in a test it is an assertion")]

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "aws")]
mod aws_keys_file;
#[cfg(feature = "aws")]
mod aws_uploads;
mod fs;
mod memory;
mod s3;
mod seaweedfs;
mod support;
