//! The multipart upload that every adapter of remote storage shares.

pub mod part_size;
