//! What the fuzz targets run: each function takes any bytes and panics where a property does not hold.
//!
//! The test `fuzz_corpora` of the gateway includes this file and runs every function on its corpus, on
//! a stable compiler and without libFuzzer.

pub mod config;
pub mod disposition;
pub mod forwarded;
pub mod media_type;
pub mod range;
pub mod request_head;
pub mod template;
