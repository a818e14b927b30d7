//! Storage that says what is not so, in each adapter: what is believed of its answers.

mod answers;
mod bodies;
mod busy;
mod headers;
mod ranges;
mod uploads;

use std::sync::Arc;

use asset_gateway_backends::BackendError;
use asset_gateway_backends::error::{ErrorKind, Result};
use asset_gateway_backends::object_backend::{
    ByteRange, GetOptions, GetResult, ObjectBackend, PutOptions, Stored,
};
use asset_gateway_backends::open::open_bucket;
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::Settings;
use crate::support::scripted_storage::{Asked, Reply, ScriptedStorage};

pub async fn open<R: Into<Reply>>(
    settings: Settings,
    script: impl FnMut(&Asked) -> R + Send + 'static,
) -> (Arc<dyn ObjectBackend>, ScriptedStorage) {
    crate::support::install_crypto();
    let storage = ScriptedStorage::start(script).await;
    let backend = open_bucket(&settings(storage.endpoint.clone())).unwrap();
    (backend, storage)
}

pub fn ranged(range: ByteRange) -> GetOptions {
    GetOptions {
        range: Some(range),
        ..GetOptions::default()
    }
}

pub fn between(first: u64, last: u64) -> ByteRange {
    ByteRange::From {
        first,
        last: Some(last),
    }
}

pub async fn read(found: GetResult) -> Result<Bytes> {
    let pieces: Vec<Bytes> = found.body.try_collect().await?;
    Ok(pieces.concat().into())
}

pub async fn get(backend: &Arc<dyn ObjectBackend>, options: &GetOptions) -> Result<GetResult> {
    backend.get("k", options).await
}

pub async fn head(
    backend: &Arc<dyn ObjectBackend>,
) -> Result<asset_gateway_backends::object_backend::ObjectMeta> {
    backend.head("k", &GetOptions::default()).await
}

#[track_caller]
pub fn refused<T>(result: Result<T>, kind: ErrorKind, what: impl std::fmt::Debug) -> BackendError {
    match result {
        Ok(_) => panic!("{what:?}: believed"),
        Err(error) => {
            assert_eq!(error.kind, kind, "{what:?}: {error}");
            error
        }
    }
}

pub async fn put(
    backend: &Arc<dyn ObjectBackend>,
    options: PutOptions,
    length: usize,
) -> Result<Stored> {
    let mut upload = backend.put("k", options).await?;
    let mut left = length;
    while left > 0 {
        let piece = left.min(1 << 20);
        if let Err(error) = upload.write(Bytes::from(vec![7; piece])).await {
            let _ = upload.abort().await;
            return Err(error);
        }
        left -= piece;
    }
    upload.finish().await
}

macro_rules! cases {
    ($adapter:ident, $settings:path) => {
        mod $adapter {
            cases! { $settings,
                answers: [
                    a_success_that_is_no_object_is_refused,
                    no_redirect_is_followed,
                    a_page_of_somebody_in_between_is_no_object,
                    a_page_that_says_not_found_is_not_storages_word,
                    conditions_that_nobody_set_do_not_fail,
                ],
                bodies: [
                    a_body_in_chunks_is_handed_on,
                    an_end_that_cannot_be_seen_is_none,
                    more_than_was_announced_is_not_handed_on,
                    an_encoded_body_stays_encoded,
                    interim_answers_are_passed_over,
                ],
                busy: [
                    what_storage_did_not_begin_to_answer_is_asked_again,
                    a_kept_connection_that_was_just_closed_costs_nothing,
                    what_storage_has_answered_is_not_asked_again,
                    busy_is_not_broken,
                    storage_says_when_to_come_back,
                    a_conflict_is_busy,
                ],
                headers: [
                    dates_are_read_in_every_form,
                    what_cannot_be_read_is_left_out,
                    tags_are_read_leniently_or_not_at_all,
                    lists_over_several_lines_are_one,
                    a_folded_header_is_refused_or_whole,
                ],
                ranges: [
                    a_part_of_other_bytes_is_refused,
                    a_part_that_does_not_say_which_is_refused,
                    a_part_of_another_length_than_its_range_is_refused,
                    the_part_that_was_asked_for_is_taken,
                    the_whole_in_place_of_a_range_is_the_whole,
                    a_range_that_lies_inside_is_not_outside,
                    a_size_that_changes_under_one_tag_is_refused,
                ],
                uploads: [
                    an_upload_without_a_tag_is_not_acknowledged,
                    any_success_with_a_tag_is_acknowledged,
                    an_upload_is_not_told_of_what_is_missing,
                    an_upload_in_parts_is_acknowledged_by_its_tag,
                    parts_that_nobody_has_begun_are_not_sent,
                    a_part_without_a_tag_ends_the_upload,
                    a_completion_that_is_not_storages_is_open,
                    headers_that_nobody_needs_do_not_undo_an_acknowledgement,
                ],
            }
        }
    };
    ($settings:path, $($group:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::super::$group::$case($settings).await;
            })+
        })+
    };
}

cases!(opendal, crate::support::s3_settings);
#[cfg(feature = "aws")]
cases!(aws, crate::support::aws_settings);
