//! Bodies and metadata come back as they were stored.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::Subject;
use super::tools::*;
use crate::object_backend::{ByteRange, GetOptions, PutOptions, UNKNOWN_TYPE};

pub async fn round_trip_keeps_bytes_and_type(subject: &Subject) {
    let key = subject.key("report.bin");
    let bytes = pattern(300_000, 1);
    let options = PutOptions {
        content_type: Some("application/x-report; v=1".into()),
        content_length: Some(bytes.len() as u64),
        ..PutOptions::default()
    };
    let stored = try_put(subject, &key, &bytes, options).await;
    let stored = stored.expect("the object is stored");
    assert_eq!(stored.size, 300_000);
    assert!(!stored.etag.is_empty() && !stored.etag.contains('"'));

    let head = subject.backend.head(&key, &GetOptions::default()).await;
    let head = head.expect("the object is there");
    assert_eq!(head.size, Some(300_000));
    assert_eq!(head.etag.as_deref(), Some(stored.etag.as_str()));
    assert_eq!(
        head.content_type.as_deref(),
        Some("application/x-report; v=1")
    );
    assert!(head.last_modified.is_some());

    let found = get(subject, &key).await;
    assert_eq!(found.range, None);
    assert_eq!(found.meta.size, Some(300_000));
    assert_eq!(found.meta.etag, head.etag);
    assert_eq!(found.meta.content_type, head.content_type);
    assert!(found.meta.last_modified.is_some());
    assert_same(&read(found).await, &bytes);
}

pub async fn codings_and_languages_come_back(subject: &Subject) {
    let keeps = subject.backend.capabilities();
    // A single request, and a multipart upload.
    for length in [10, 17 * MIB] {
        let key = subject.key(&format!("style-{length}.css"));
        let options = PutOptions {
            content_type: Some("text/css".into()),
            content_encoding: keeps.content_encoding.then(|| "gzip, br".into()),
            content_language: keeps.content_language.then(|| "de, en-GB".into()),
            ..PutOptions::default()
        };
        let bytes = pattern(length, 9);
        let stored = try_put(subject, &key, &bytes, options.clone()).await;
        stored.expect("the object is stored");
        let head = subject.backend.head(&key, &GetOptions::default()).await;
        let head = head.expect("the object is there");
        let part = ByteRange::From {
            first: 2,
            last: Some(5),
        };
        let part = get_with(subject, &key, ranged(part)).await;
        let part = part.expect("a part").meta;
        for meta in [head, get(subject, &key).await.meta, part] {
            assert_eq!(meta.content_encoding, options.content_encoding);
            assert_eq!(meta.content_language, options.content_language);
            assert_eq!(meta.content_type, options.content_type);
        }
        put(subject, &key, &bytes).await;
        let meta = get(subject, &key).await.meta;
        assert_eq!((meta.content_encoding, meta.content_language), (None, None));
    }
}

pub async fn an_object_without_a_type_has_the_unknown_type(subject: &Subject) {
    for length in [10, 17 * MIB] {
        let ending = if subject.gaps.guesses_unknown_types {
            ""
        } else {
            ".html"
        };
        let key = subject.key(&format!("page-{length}{ending}"));
        put(subject, &key, &pattern(length, 2)).await;
        let head = subject.backend.head(&key, &GetOptions::default()).await;
        let head = head.expect("the object is there");
        assert_eq!(head.content_type.as_deref(), Some(UNKNOWN_TYPE));
        let found = get(subject, &key).await;
        assert_eq!(found.meta.content_type.as_deref(), Some(UNKNOWN_TYPE));
    }
}

pub async fn an_empty_object_is_an_object(subject: &Subject) {
    let key = subject.key("empty");
    let stored = put(subject, &key, &Bytes::new()).await;
    assert_eq!(stored.size, 0);
    let found = get(subject, &key).await;
    assert_eq!(found.meta.size, Some(0));
    assert_eq!(read(found).await.len(), 0);
}

pub async fn a_small_object_is_read_whole(subject: &Subject) {
    for length in [1, 65_535, 65_536, 65_537] {
        let key = subject.key(&format!("small-{length}"));
        let bytes = pattern(length, 2);
        put(subject, &key, &bytes).await;
        assert_same(&read(get(subject, &key).await).await, &bytes);
    }
}

pub async fn an_upload_of_unknown_length_in_many_chunks(subject: &Subject) {
    let key = subject.key("unknown");
    let bytes = pattern(20 * MIB + 3, 3);
    let upload = subject.backend.put(&key, PutOptions::default()).await;
    let mut upload = upload.expect("an upload begins");
    write_in_chunks(&mut upload, &bytes, 77_777).await;
    let stored = upload.finish().await.expect("the object is stored");
    assert_eq!(stored.size, bytes.len() as u64);
    let found = get(subject, &key).await;
    assert_eq!(found.meta.etag.as_deref(), Some(stored.etag.as_str()));
    assert_same(&read(found).await, &bytes);
}

pub async fn an_upload_of_known_length_in_many_chunks(subject: &Subject) {
    // 16 MiB are two full parts without a short last one.
    for length in [16 * MIB, 17 * MIB] {
        let key = subject.key(&format!("known-{length}"));
        let bytes = pattern(length, 4);
        let options = PutOptions {
            content_length: Some(length as u64),
            content_type: Some("video/mp4".into()),
            ..PutOptions::default()
        };
        let upload = subject.backend.put(&key, options).await;
        let mut upload = upload.expect("an upload begins");
        write_in_chunks(&mut upload, &bytes, MIB).await;
        let stored = upload.finish().await.expect("the object is stored");
        assert_eq!(stored.size, length as u64);
        let found = get(subject, &key).await;
        assert_eq!(found.meta.content_type.as_deref(), Some("video/mp4"));
        assert_same(&read(found).await, &bytes);
    }
}

pub async fn a_reader_in_progress_sees_one_version(subject: &Subject) {
    let key = subject.key("overwritten");
    let (old, new) = (pattern(20 * MIB, 5), pattern(20 * MIB, 6));
    put(subject, &key, &old).await;
    let mut body = get(subject, &key).await.body;
    let mut seen = BytesMut::new();
    let first = body.next().await.expect("a first chunk").expect("of bytes");
    seen.extend_from_slice(&first);
    put(subject, &key, &new).await;
    // All of the old object, or an error; never bytes of both.
    let mut is_complete = true;
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => seen.extend_from_slice(&chunk),
            Err(_) => {
                is_complete = false;
                break;
            }
        }
    }
    assert_same(&seen.clone().freeze(), &old.slice(..seen.len()));
    assert!(
        !is_complete || seen.len() == old.len(),
        "the body ended early without an error"
    );
    assert_same(&read(get(subject, &key).await).await, &new);
}

pub async fn a_body_may_be_dropped_half_way(subject: &Subject) {
    let key = subject.key("dropped");
    let bytes = pattern(4 * MIB, 7);
    put(subject, &key, &bytes).await;
    for _ in 0..8 {
        let mut body = get(subject, &key).await.body;
        assert!(matches!(body.next().await, Some(Ok(_))));
    }
    drop(get(subject, &key).await);
    assert_same(&read(get(subject, &key).await).await, &bytes);
}

pub async fn many_readers_at_once(subject: &Subject) {
    let key = subject.key("popular");
    let bytes = pattern(200_000, 8);
    put(subject, &key, &bytes).await;
    let readers = (0..100).map(|_| async { read(get(subject, &key).await).await });
    for found in join_all(readers).await {
        assert_same(&found, &bytes);
    }
}
