//! An S3 server for gateways, and the sections of a configuration that lead to it.

#[path = "../../../backends/tests/objects/support/s3s_server.rs"]
mod s3s_server;

use serde_json::{Value, json};

pub use super::api::install_crypto;
pub use s3s_server::{Pause, S3sServer};

pub const BUCKET: &str = "test-bucket";
pub const ACCESS_KEY: &str = "test-access-key";
pub const SECRET_KEY: &str = "test-secret-key";

impl S3sServer {
    /// The bucket `s3` and its credentials, beside `buckets`.
    pub fn sections(&self, mut buckets: Value) -> Value {
        buckets["s3"] = json!({"provider": "s3", "bucket": BUCKET, "region": "us-east-1",
            "endpoint": self.endpoint, "credential": "test", "force_path_style": true});
        let keys = json!({"access_key": ACCESS_KEY, "secret_key": SECRET_KEY});
        json!({"credentials": {"test": keys}, "buckets": buckets})
    }

    /// Whether the object was asked about since the last call.
    pub fn was_looked_at(&self) -> bool {
        let requests = self.take_requests();
        requests.iter().any(|request| request.starts_with("HEAD "))
    }
}
