//! Object backends: the conformance suite for each, and what is each one's own.

mod fs;
mod memory;
mod s3;
mod seaweedfs;
mod support;
