//! `get_cached` and `get` answer the same.

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::*;
use crate::object_backend::{ByteRange, Conditions};

const KEY: &str = "a/b.txt";
/// Several chunks.
const LENGTH: u64 = 200_000;

async fn bucket() -> (FsBackend, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let backend = FsBackend::open(folder.path().to_owned()).unwrap();
    let mut upload = backend.put(KEY, PutOptions::default()).await.unwrap();
    let body: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
    upload.write(body.into()).await.unwrap();
    upload.finish().await.unwrap();
    (backend, folder)
}

async fn bytes(found: GetResult) -> Vec<u8> {
    let chunks: Vec<Bytes> = found.body.try_collect().await.unwrap();
    chunks.concat()
}

fn asking_for(range: Option<ByteRange>) -> GetOptions {
    GetOptions {
        range,
        ..GetOptions::default()
    }
}

#[tokio::test]
async fn a_cached_read_equals_a_read_from_disk() {
    let (backend, _folder) = bucket().await;
    let middle = ByteRange::From {
        first: 70_000,
        last: Some(170_000),
    };
    for range in [None, Some(middle), Some(ByteRange::Suffix { length: 1 })] {
        let options = asking_for(range);
        let expected = backend.bucket.get(KEY, &options).unwrap();
        // Not every file system can tell what it has in memory.
        let Some(found) = backend.bucket.get_cached(KEY, &options) else {
            continue;
        };
        assert_eq!(found.meta, expected.meta);
        assert_eq!(found.range, expected.range);
        assert!(bytes(found).await == bytes(expected).await);
    }
}

#[tokio::test]
async fn a_cached_read_answers_only_with_an_object() {
    let (backend, folder) = bucket().await;
    std::os::unix::fs::symlink("/etc", folder.path().join("out")).unwrap();
    let whole = GetOptions::default();
    for key in ["missing", "a", "a/../a/b.txt", "out/passwd"] {
        assert!(backend.bucket.get_cached(key, &whole).is_none(), "{key}");
    }
    let outside = ByteRange::From {
        first: LENGTH,
        last: None,
    };
    assert!(
        backend
            .bucket
            .get_cached(KEY, &asking_for(Some(outside)))
            .is_none()
    );
    let changed = GetOptions {
        conditions: Conditions {
            if_match: Some("\"other\"".into()),
            ..Conditions::default()
        },
        ..GetOptions::default()
    };
    assert!(backend.bucket.get_cached(KEY, &changed).is_none());
}
