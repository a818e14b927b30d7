//! Helpers of the cases: write, read, compare.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use super::Subject;
use crate::error::{ErrorKind, Result};
use crate::object_backend::{
    ByteRange, Conditions, GetOptions, GetResult, PutOptions, Stored, Upload,
};

pub const MIB: usize = 1024 * 1024;

/// Pseudo-random bytes, so that no two ranges are equal.
pub fn pattern(length: usize, seed: u32) -> Bytes {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut bytes = BytesMut::with_capacity(length + 4);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.freeze()
}

pub async fn write_in_chunks(upload: &mut Box<dyn Upload>, bytes: &Bytes, chunk: usize) {
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let next = rest.split_to(chunk.min(rest.len()));
        upload.write(next).await.expect("a chunk is written");
    }
}

pub async fn try_put(
    subject: &Subject,
    key: &str,
    bytes: &Bytes,
    options: PutOptions,
) -> Result<Stored> {
    let mut upload = subject.backend.put(key, options).await?;
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let next = rest.split_to(rest.len().min(100_000));
        if let Err(error) = upload.write(next).await {
            upload.abort().await.expect("a failed upload is aborted");
            return Err(error);
        }
    }
    upload.finish().await
}

pub async fn put(subject: &Subject, key: &str, bytes: &Bytes) -> Stored {
    let stored = try_put(subject, key, bytes, PutOptions::default()).await;
    stored.expect("the object is stored")
}

pub async fn get_with(subject: &Subject, key: &str, options: GetOptions) -> Result<GetResult> {
    subject.backend.get(key, &options).await
}

pub async fn get(subject: &Subject, key: &str) -> GetResult {
    let found = get_with(subject, key, GetOptions::default()).await;
    found.expect("the object is there")
}

pub fn ranged(range: ByteRange) -> GetOptions {
    GetOptions {
        range: Some(range),
        ..GetOptions::default()
    }
}

pub fn conditional(conditions: Conditions) -> GetOptions {
    GetOptions {
        conditions,
        ..GetOptions::default()
    }
}

/// Reads the whole body and checks its length against the announced one.
pub async fn read(result: GetResult) -> Bytes {
    let announced = result.content_length();
    let mut bytes = BytesMut::new();
    let mut body = result.body;
    while let Some(chunk) = body.try_next().await.expect("the body ends well") {
        assert!(!chunk.is_empty(), "an empty chunk");
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(Some(bytes.len() as u64), announced, "bytes of the body");
    bytes.freeze()
}

pub fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

pub async fn assert_missing(subject: &Subject, key: &str) {
    let head = subject.backend.head(key, &GetOptions::default()).await;
    assert_eq!(kind(head), Some(ErrorKind::NotFound), "head of {key}");
    let get = get_with(subject, key, GetOptions::default()).await;
    assert_eq!(kind(get), Some(ErrorKind::NotFound), "get of {key}");
}

/// As `assert_eq!`, without printing megabytes.
pub fn assert_same(found: &Bytes, expected: &Bytes) {
    assert_eq!(found.len(), expected.len(), "length");
    let differs = found.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(differs, None, "first byte that differs");
}
