//! Storage for the tests, and settings that lead there.

pub mod s3s_server;
pub mod scripted_storage;
pub mod seaweedfs;

use asset_gateway_backends::settings::{
    Adapter, BucketSettings, CredentialSettings, Keys, Provider, Secret,
};

pub const BUCKET: &str = "test-bucket";
pub const ACCESS_KEY: &str = "test-access-key";
pub const SECRET_KEY: &str = "test-secret-key";

/// The binary does this first thing in its `main`.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub fn s3_settings(endpoint: String) -> BucketSettings {
    BucketSettings {
        provider: Provider::S3,
        adapter: Some(Adapter::Opendal),
        bucket: BUCKET.into(),
        region: "us-east-1".into(),
        endpoint,
        force_path_style: true,
        root: None,
        credential: keys(SECRET_KEY),
    }
}

/// Of the server's user, with a secret that may be another one.
pub fn keys(secret_key: &str) -> CredentialSettings {
    CredentialSettings::Keys(Keys {
        access_key: Secret::new(ACCESS_KEY),
        secret_key: Secret::new(secret_key),
        session_token: Secret::default(),
    })
}

#[cfg(feature = "aws")]
pub fn aws_settings(endpoint: String) -> BucketSettings {
    BucketSettings {
        adapter: Some(Adapter::Aws),
        ..s3_settings(endpoint)
    }
}
