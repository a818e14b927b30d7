//! SIGKILL at any moment: what was acknowledged is stored, what was not leaves nothing behind.
//!
//! - `mixed_traffic`: traffic of every kind over sled and an fs bucket, killed at random moments.
//! - `upload_recovery`: killed exactly while storage makes an object visible, before and after it has.
//! - `multipart_uploads`: killed in a multipart upload, which must not stay in storage.
//! - `paused_process`: SIGSTOP for longer than a lease, while storage has the object and nobody knows.

mod downloads;
mod mixed_traffic;
#[cfg(feature = "aws")]
mod multipart_uploads;
mod paused_process;
mod token_changes;
mod upload_recovery;
mod uploads;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::{Gateway, GatewayBuilder};
use crate::support::s3::S3sServer;

/// Short enough to wait for, long enough for a loaded machine to renew.
const LEASE: Duration = Duration::from_secs(10);

/// A gateway that reports every download and retries callbacks soon.
fn builder() -> GatewayBuilder {
    let callback = json!({"retry_seconds": vec![1; 10], "report_incomplete": true});
    Gateway::builder()
        .with(json!({"callback": callback}))
        .lease(LEASE)
        .variable("RUST_LOG", "info,access=off")
}

/// The same with the bucket `s3`.
fn start_over(s3: &S3sServer) -> Gateway {
    builder().with(s3.sections(json!({}))).start()
}

/// Ids of the events about `key` that have arrived, each once.
fn events_about(receiver: &CallbackReceiver, key: &str) -> usize {
    receiver.ids(|event| event["key"] == key).len()
}

/// Bytes that only this seed has.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

/// The fields of a token in the fs bucket.
fn token(method: &str, key: &str, max_hits: i64) -> Value {
    json!({"method": method, "bucket": "local", "key": key, "max_hits": max_hits})
}
