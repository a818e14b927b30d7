//! Both adapters for S3 against a server in this process: signatures are verified, requests
//! counted.

#[cfg(feature = "aws")]
mod aws_credentials_file;
#[cfg(feature = "aws")]
mod aws_single_put;
mod content_encoding;
mod failures;
mod interrupted_uploads;

mod misbehaving_storage;
mod request_counts;

use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::conformance::object_backend::{Gaps, Subject};
use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend, PutOptions};
use asset_gateway_backends::open::open_bucket;
use asset_gateway_backends::settings::BucketSettings;
use asset_gateway_backends::{BackendError, object_backend_suite};
use bytes::Bytes;

use crate::support::BUCKET;
use crate::support::s3s_server::S3sServer;

/// What opens an adapter's bucket at an endpoint.
type Settings = fn(String) -> BucketSettings;

async fn subject(settings: Settings) -> (Subject, S3sServer) {
    let server = S3sServer::start().await;
    let backend = open_bucket(&settings(server.endpoint.clone())).unwrap();
    let subject = Subject::new(backend).with_gaps(Gaps {
        // s3s-fs reads no If-Match, If-None-Match, If-(Un)Modified-Since on GET.
        ignores_get_conditions: true,
        // It subtracts the suffix from the length and overflows.
        breaks_on_long_suffixes: true,
        // It looks whether the file is there, and renames later.
        exclusive_create_is_racy: true,
        // Its objects are files; what is a folder there is an internal error.
        breaks_on_folders: true,
        keys_are_paths: true,
        // It says "access denied" of them.
        refuses_unknown_uploads: true,
        ..Gaps::default()
    });
    (subject, server)
}

async fn put(
    backend: &Arc<dyn ObjectBackend>,
    key: &str,
    bytes: Bytes,
) -> Result<(), BackendError> {
    let mut upload = backend.put(key, PutOptions::default()).await?;
    upload.write(bytes).await?;
    upload.finish().await.map(|_| ())
}

fn of_length(length: usize) -> PutOptions {
    PutOptions {
        content_length: Some(length as u64),
        ..PutOptions::default()
    }
}

fn assert_names_no_secret(error: &BackendError) {
    let text = format!("{error} {error:?}");
    for secret in ["secret-key", "Signature="] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// What lies in the bucket's folder and beside it, but for the server's own notes.
fn files(server: &S3sServer) -> Vec<String> {
    let folders = [
        server.folder.path().join(BUCKET),
        server.folder.path().into(),
    ];
    let mut names: Vec<String> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != BUCKET && !name.contains(".internal.json"))
        .collect();
    names.sort();
    names
}

/// Soon: what was given up is removed in the background.
async fn assert_files(server: &S3sServer, expected: &[&str], when: &str) {
    for _ in 0..100 {
        if files(server) == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(files(server), expected, "{when}");
}

macro_rules! adapter {
    ($name:ident, $settings:path, $($group:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        mod $name {
            use super::*;

            object_backend_suite!(conformance, subject($settings).await);

            $($(#[tokio::test]
            async fn $case() {
                $group::$case($settings).await;
            })+)+
        }
    };
}

macro_rules! adapters {
    ($($(#[$attribute:meta])* $name:ident: $settings:path),+ $(,)?) => {
        $($(#[$attribute])*
        adapter! { $name, $settings,
            request_counts: [
                a_download_is_one_request,
                other_calls_are_one_request_too,
                passing_trouble_is_overcome_where_repeating_is_harmless,
            ],
            content_encoding: [the_framing_of_s3_is_no_coding],
            interrupted_uploads: [
                what_was_cut_off_leaves_nothing,
                a_refusal_comes_before_the_last_byte_and_names_no_secret,
                a_write_that_was_given_up_spoils_the_upload,
            ],
            failures: [
                no_multipart_upload_stays_open,
                a_wrong_secret_is_refused_and_named_nowhere,
                storage_that_is_away_is_unavailable,
            ],
        })+
    };
}

adapters! {
    opendal: crate::support::s3_settings,
    #[cfg(feature = "aws")]
    aws: crate::support::aws_settings,
}

async fn refuses(subject: &Subject, key: &str) {
    let get = subject.backend.get(key, &GetOptions::default()).await;
    assert!(
        get.is_err_and(|error| error.kind == ErrorKind::InvalidKey),
        "{key:?}"
    );
    let put = subject.backend.put(key, PutOptions::default()).await;
    assert!(
        put.is_err_and(|error| error.kind == ErrorKind::InvalidKey),
        "{key:?}"
    );
}

#[tokio::test]
async fn keys_that_opendal_would_rewrite_are_refused() {
    let (subject, server) = subject(crate::support::s3_settings).await;
    for key in ["", "/a", "a/", "a//b", " a", "a ", "a\n"] {
        refuses(&subject, key).await;
    }
    assert_eq!(server.take_requests(), Vec::<String>::new());
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn keys_that_addresses_cannot_carry_are_refused() {
    let (subject, server) = subject(crate::support::aws_settings).await;
    for key in ["", "a/", ".", "..", "a/./b", "../a", "a/.."] {
        refuses(&subject, key).await;
    }
    assert_eq!(server.take_requests(), Vec::<String>::new());
    for key in [" a", "a ", "a\t"] {
        put(&subject.backend, key, Bytes::from(key)).await.unwrap();
        let head = subject.backend.head(key, &GetOptions::default()).await;
        assert_eq!(head.unwrap().size, Some(key.len() as u64), "{key:?}");
    }
}
