//! The checks of the fuzz targets: each function takes any bytes and panics if a property does not hold.
//!
//! The gateway's test `fuzz_corpora` includes this file and runs every function on its corpus, with a stable
//! compiler and without libFuzzer.

pub mod config;
pub mod disposition;
pub mod forwarded;
pub mod media_type;
pub mod range;
pub mod request_head;
pub mod template;
