//! Overwriting, exclusive creation, markers.

use futures_util::future::join_all;

use super::Subject;
use super::tools::*;
use crate::error::ErrorKind;
use crate::object_backend::{GetOptions, PutOptions};

fn exclusive() -> PutOptions {
    PutOptions {
        must_not_exist: true,
        ..PutOptions::default()
    }
}

pub async fn overwriting_replaces_everything(subject: &Subject) {
    let key = subject.key("replaced");
    let with_type = |content_type: &str| PutOptions {
        content_type: Some(content_type.into()),
        ..PutOptions::default()
    };
    let (old, new) = (pattern(5000, 30), pattern(5000, 31));
    let first = try_put(subject, &key, &old, with_type("text/csv")).await;
    let second = try_put(subject, &key, &new, with_type("image/png")).await;
    let (first, second) = (first.expect("stored"), second.expect("stored again"));
    assert_ne!(first.etag, second.etag);
    let found = get(subject, &key).await;
    assert_eq!(found.meta.etag.as_deref(), Some(second.etag.as_str()));
    assert_eq!(found.meta.content_type.as_deref(), Some("image/png"));
    assert_same(&read(found).await, &new);
}

pub async fn must_not_exist_creates_once(subject: &Subject) {
    let key = subject.key("once");
    let (old, new) = (pattern(5000, 32), pattern(6000, 33));
    let first = try_put(subject, &key, &old, exclusive()).await;
    first.expect("the key is free");
    let second = try_put(subject, &key, &new, exclusive()).await;
    assert_eq!(kind(second), Some(ErrorKind::PreconditionFailed));
    assert_same(&read(get(subject, &key).await).await, &old);

    subject.backend.delete(&key).await.expect("deleted");
    let third = try_put(subject, &key, &new, exclusive()).await;
    third.expect("the key is free again");
}

pub async fn must_not_exist_holds_for_large_uploads(subject: &Subject) {
    let key = subject.key("once-large");
    let old = pattern(5000, 34);
    put(subject, &key, &old).await;
    let refused = try_put(subject, &key, &pattern(17 * MIB, 35), exclusive()).await;
    assert_eq!(kind(refused), Some(ErrorKind::PreconditionFailed));
    assert_same(&read(get(subject, &key).await).await, &old);
}

pub async fn one_of_many_exclusive_writers_wins(subject: &Subject) {
    if !subject.backend.capabilities().exclusive_create || subject.gaps.exclusive_create_is_racy {
        return;
    }
    let key = subject.key("contested");
    let writers = (0..16).map(|writer| {
        let (subject, key) = (subject.clone(), key.clone());
        tokio::spawn(async move {
            let bytes = pattern(5000, 100 + writer);
            let result = try_put(&subject, &key, &bytes, exclusive()).await;
            (bytes, result)
        })
    });
    let mut winner = None;
    for ended in join_all(writers).await {
        match ended.expect("a writer ends") {
            (bytes, Ok(_)) => {
                assert!(winner.is_none(), "two writers won");
                winner = Some(bytes);
            }
            (_, Err(error)) => {
                assert_eq!(error.kind, ErrorKind::PreconditionFailed, "{error}");
            }
        }
    }
    let winner = winner.expect("one writer wins");
    assert_same(&read(get(subject, &key).await).await, &winner);
}

pub async fn the_marker_comes_back(subject: &Subject) {
    if !subject.backend.capabilities().markers {
        return;
    }
    let marked = |marker: &str| PutOptions {
        marker: Some(marker.into()),
        content_type: Some("text/plain".into()),
        ..PutOptions::default()
    };
    let marker = async |key: &str| {
        let head = subject.backend.head(key, &GetOptions::default()).await;
        head.expect("the object is there").marker
    };
    for (name, length) in [("marked", 100), ("marked-large", 17 * MIB)] {
        let key = subject.key(name);
        let bytes = pattern(length, 36);
        let stored = try_put(subject, &key, &bytes, marked("00000000000000ff")).await;
        stored.expect("stored");
        assert_eq!(marker(&key).await.as_deref(), Some("00000000000000ff"));
    }
    let key = subject.key("marked");
    let again = try_put(subject, &key, &pattern(100, 37), marked("another")).await;
    again.expect("stored");
    assert_eq!(marker(&key).await.as_deref(), Some("another"));
    put(subject, &key, &pattern(100, 38)).await;
    assert_eq!(marker(&key).await, None);
}
