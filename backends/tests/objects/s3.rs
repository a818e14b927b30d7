//! Both S3 adapters against a server in this process, which verifies signatures and counts requests.

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

use self::misbehaving_storage::{bodies, busy, headers, ranges, statuses, uploads};
use crate::support::BUCKET;
use crate::support::s3s_server::S3sServer;

/// The settings of an adapter's bucket at an endpoint.
type Settings = fn(String) -> BucketSettings;

async fn subject(settings: Settings) -> (Subject, S3sServer) {
    let server = S3sServer::start().await;
    let backend = open_bucket(&settings(server.endpoint.clone())).unwrap();
    let subject = Subject::new(backend).with_gaps(Gaps {
        // s3s-fs reads no If-Match, If-None-Match, If-(Un)Modified-Since on GET.
        ignores_get_conditions: true,
        // s3s-fs subtracts the suffix from the length and overflows.
        breaks_on_long_suffixes: true,
        // s3s-fs checks for the file and renames later.
        exclusive_create_is_racy: true,
        // s3s-fs answers a key that is a folder with an internal error.
        breaks_on_folders: true,
        keys_are_paths: true,
        // s3s-fs answers "access denied".
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

/// Names in the folder of the bucket and the folder above it, without the server's metadata.
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

/// Waits: an abandoned upload is removed in the background.
async fn assert_files(server: &S3sServer, expected: &[&str], when: &str) {
    for _ in 0..100 {
        if files(server) == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(files(server), expected, "{when}");
}

/// Makes a module for each adapter: the conformance suite, and each case of each group as a test.
macro_rules! adapters {
    ($($(#[$attribute:meta])* $name:ident: $settings:path),+ $(,)?) => {
        $($(#[$attribute])*
        mod $name {
            use super::*;

            object_backend_suite!(conformance, subject($settings).await);
            cases! { $settings,
            #[tokio::test]
            request_counts: [
                a_download_is_one_request,
                every_other_call_is_one_request,
                idempotent_requests_are_repeated_after_passing_errors,
            ],
            #[tokio::test]
            content_encoding: [the_framing_of_s3_is_no_coding],
            #[tokio::test]
            interrupted_uploads: [
                an_interrupted_upload_leaves_nothing,
                a_refused_upload_stores_nothing_and_names_no_secret,
                a_dropped_write_fails_the_upload,
            ],
            #[tokio::test]
            failures: [
                no_multipart_upload_stays_open,
                a_wrong_secret_is_refused_and_named_nowhere,
                unreachable_storage_is_unavailable,
            ],
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            statuses: [
                an_unexpected_success_status_is_refused,
                no_redirect_is_followed,
                a_proxy_page_is_no_object,
                a_proxys_404_is_no_missing_object,
                unset_conditions_do_not_fail,
            ],
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            bodies: [
                a_chunked_body_is_passed_on,
                a_body_without_a_visible_end_is_an_error,
                bytes_past_the_announced_length_are_not_passed_on,
                an_encoded_body_stays_encoded,
                interim_responses_are_skipped,
            ],
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            busy: [
                a_read_that_storage_did_not_begin_to_answer_is_repeated,
                a_closed_idle_connection_fails_no_request,
                an_answered_read_is_not_repeated,
                busy_storage_is_reported_as_busy,
                retry_after_is_passed_on,
                a_passing_conflict_is_busy,
            ],
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            headers: [
                dates_are_parsed_in_every_format,
                unreadable_headers_are_left_out,
                entity_tags_are_parsed_leniently,
                lists_over_several_lines_are_joined,
                a_folded_header_is_refused_or_read_whole,
            ],
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            ranges: [
                another_range_than_requested_is_refused,
                a_206_without_content_range_is_refused,
                a_206_of_another_length_than_its_range_is_refused,
                the_requested_range_is_accepted,
                a_200_in_place_of_a_range_is_the_whole_object,
                a_416_for_a_range_inside_the_object_is_refused,
                two_sizes_under_one_tag_are_refused,
            ],
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            uploads: [
                an_upload_without_a_tag_is_not_acknowledged,
                any_success_with_a_tag_is_acknowledged,
                an_upload_is_never_not_found_or_not_modified,
                a_multipart_upload_is_acknowledged_by_its_tag,
                no_part_is_sent_without_an_upload_id,
                a_part_without_a_tag_fails_the_upload,
                an_unacknowledged_completion_has_no_answer,
                unreadable_headers_do_not_undo_an_acknowledgement,
            ],
            }
        })+
    };
}

macro_rules! cases {
    ($settings:path, $(#[$test:meta] $group:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        $(mod $group {
            $(#[$test]
            async fn $case() {
                super::super::$group::$case($settings).await;
            })+
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
async fn keys_that_urls_cannot_carry_are_refused() {
    let (subject, server) = subject(crate::support::aws_settings).await;
    for key in ["", ".", "..", "a/./b", "../a", "a/.."] {
        refuses(&subject, key).await;
    }
    assert_eq!(server.take_requests(), Vec::<String>::new());
    for key in [" a", "a ", "a\t"] {
        put(&subject.backend, key, Bytes::from(key)).await.unwrap();
        let head = subject.backend.head(key, &GetOptions::default()).await;
        assert_eq!(head.unwrap().size, Some(key.len() as u64), "{key:?}");
    }
}
