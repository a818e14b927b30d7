//! Uploads of a known length through aws-sdk-s3: one request that streams.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend, PutOptions};
use asset_gateway_backends::open::open_bucket;
use bytes::Bytes;

use crate::support::s3s_server::S3sServer;
use crate::support::{BUCKET, aws_settings, keys};

const MIB: usize = 1 << 20;

fn of_length(length: usize) -> PutOptions {
    PutOptions {
        content_length: Some(length as u64),
        ..PutOptions::default()
    }
}

async fn start() -> (Arc<dyn ObjectBackend>, S3sServer) {
    let server = S3sServer::start().await;
    let backend = open_bucket(&aws_settings(server.endpoint.clone())).unwrap();
    (backend, server)
}

/// A mebibyte that is counted for as long as anybody holds it.
struct Counted {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl Counted {
    fn piece(held: &Arc<AtomicUsize>, value: u8) -> Bytes {
        held.fetch_add(1, Relaxed);
        Bytes::from_owner(Self {
            bytes: vec![value; MIB],
            held: Arc::clone(held),
        })
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_go_through_and_do_not_gather() {
    let (backend, server) = start().await;
    let mut upload = backend.put("k", of_length(64 * MIB)).await.unwrap();
    let held = Arc::new(AtomicUsize::new(0));
    let mut most = 0;
    for value in 0..64 {
        upload.write(Counted::piece(&held, value)).await.unwrap();
        most = most.max(held.load(Relaxed));
    }
    let requests = server.take_requests();
    assert_eq!(requests, ["PUT /test-bucket/k?x-id=PutObject"]);
    let missing = backend.head("k", &GetOptions::default()).await;
    assert!(missing.is_err_and(|error| error.kind == ErrorKind::NotFound));
    server.take_requests();

    let stored = upload.finish().await.unwrap();
    assert_eq!(stored.size, 64 * MIB as u64);
    assert_eq!(server.take_requests(), Vec::<String>::new());
    assert!(most <= 8, "{most} MiB were held at once");
    assert_eq!(held.load(Relaxed), 0);
    let file = std::fs::read(server.folder.path().join(BUCKET).join("k")).unwrap();
    assert_eq!(file.len(), 64 * MIB);
    assert!(
        file.chunks(MIB)
            .enumerate()
            .all(|(place, piece)| { piece.iter().all(|byte| usize::from(*byte) == place) })
    );
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

async fn assert_files(server: &S3sServer, expected: &[&str], when: &str) {
    for _ in 0..100 {
        if files(server) == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(files(server), expected, "{when}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_off_leaves_nothing() {
    let (backend, server) = start().await;
    let mut old = backend.put("old", of_length(3)).await.unwrap();
    old.write(Bytes::from("old")).await.unwrap();
    old.finish().await.unwrap();
    let kept = files(&server);
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();

    for key in ["new", "old"] {
        // All but the last byte, and all of them: the last piece is held back.
        for pieces in [1, 7, 8] {
            let begin = async || {
                let mut upload = backend.put(key, of_length(8 * MIB)).await.unwrap();
                for value in 0..pieces {
                    upload.write(Bytes::from(vec![value; MIB])).await.unwrap();
                }
                upload
            };
            begin().await.abort().await.unwrap();
            assert_files(&server, &kept, "after an abort").await;
            drop(begin().await);
            assert_files(&server, &kept, "after a drop").await;
        }
    }
    let head = backend.head("old", &GetOptions::default()).await.unwrap();
    assert_eq!(head.size, 3);
}

#[tokio::test]
async fn another_length_than_announced_is_refused() {
    let (backend, server) = start().await;
    for pieces in [0, 1, 2] {
        let mut upload = backend.put("k", of_length(3 * MIB)).await.unwrap();
        for _ in 0..pieces {
            upload.write(Bytes::from(vec![1; MIB])).await.unwrap();
        }
        let short = upload.finish().await;
        assert!(short.is_err_and(|error| error.to_string().contains("fewer bytes")));
    }
    let mut upload = backend.put("k", of_length(MIB)).await.unwrap();
    upload.write(Bytes::from(vec![1; MIB])).await.unwrap();
    let long = upload.write(Bytes::from("1")).await;
    assert!(long.is_err_and(|error| error.to_string().contains("more bytes")));
    assert!(upload.finish().await.is_err());
    assert_files(&server, &[], "nothing was stored").await;
}

#[tokio::test]
async fn a_refusal_comes_before_the_last_byte_and_names_no_secret() {
    let server = S3sServer::start().await;
    let mut settings = aws_settings(server.endpoint.clone());
    settings.credential = keys("wrong-secret-key");
    let backend = open_bucket(&settings).unwrap();
    for length in [1, 64] {
        let mut upload = backend.put("k", of_length(length * MIB)).await.unwrap();
        let mut result = Ok(());
        for _ in 0..length {
            result = upload.write(Bytes::from(vec![1; MIB])).await;
            if result.is_err() {
                break;
            }
        }
        let error = match result {
            Ok(()) => upload.finish().await.unwrap_err(),
            Err(error) => error,
        };
        let text = format!("{error} {error:?}");
        assert!(
            matches!(error.kind, ErrorKind::Upstream | ErrorKind::Unavailable),
            "{text}"
        );
        assert!(
            !text.contains("secret-key") && !text.contains("Signature="),
            "{text}"
        );
    }
    assert_files(&server, &[], "nothing was stored").await;
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let (backend, server) = start().await;
    for length in [1, 3] {
        server.fail_next(1);
        let mut upload = backend.put("k", of_length(length * MIB)).await.unwrap();
        let mut failed = false;
        for _ in 0..length {
            failed |= upload.write(Bytes::from(vec![1; MIB])).await.is_err();
        }
        let finished = upload.finish().await;
        assert!(failed || finished.is_err_and(|error| error.kind == ErrorKind::Unavailable));
        assert_eq!(server.take_requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_given_up_spoils_the_upload() {
    let (backend, server) = start().await;
    for options in [of_length(64 * MIB), PutOptions::default()] {
        let mut upload = backend.put("k", options).await.unwrap();
        let mut given_up = false;
        for value in 0..64 {
            let write = upload.write(Bytes::from(vec![value; MIB]));
            // Polled once, where it can be given up at all.
            let write = tokio::time::timeout(Duration::ZERO, write).await;
            given_up |= write.is_err();
        }
        assert!(given_up, "every write was taken at once");
        let began = std::time::Instant::now();
        assert!(upload.finish().await.is_err());
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    let missing = backend.head("k", &GetOptions::default()).await;
    assert!(missing.is_err_and(|error| error.kind == ErrorKind::NotFound));
    drop(server);
}
