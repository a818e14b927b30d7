//! Uploads of a known length through aws-sdk-s3: one PUT request that streams.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use asset_gateway_backends::error::ErrorKind;
use asset_gateway_backends::object_backend::{GetOptions, ObjectBackend};
use asset_gateway_backends::open::open_bucket;
use bytes::Bytes;

use super::{assert_files, of_length};
use crate::support::s3s_server::S3sServer;
use crate::support::{BUCKET, aws_settings};

const MIB: usize = 1 << 20;

async fn start() -> (Arc<dyn ObjectBackend>, S3sServer) {
    let server = S3sServer::start().await;
    let backend = open_bucket(&aws_settings(server.endpoint.clone())).unwrap();
    (backend, server)
}

/// A mebibyte that counts as held until it is dropped.
struct Counted {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl Counted {
    fn chunk(held: &Arc<AtomicUsize>, value: u8) -> Bytes {
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
async fn an_upload_of_known_length_streams_without_buffering() {
    let (backend, server) = start().await;
    let mut upload = backend.put("k", of_length(64 * MIB)).await.unwrap();
    let held = Arc::new(AtomicUsize::new(0));
    let mut most = 0;
    for value in 0..64 {
        upload.write(Counted::chunk(&held, value)).await.unwrap();
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
            .all(|(place, chunk)| { chunk.iter().all(|byte| usize::from(*byte) == place) })
    );
}

#[tokio::test]
async fn another_length_than_announced_is_refused() {
    let (backend, server) = start().await;
    for chunks in [0, 1, 2] {
        let mut upload = backend.put("k", of_length(3 * MIB)).await.unwrap();
        for _ in 0..chunks {
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
async fn a_single_put_is_not_repeated() {
    let (backend, server) = start().await;
    for length in [1, 3] {
        server.fail_next(1);
        let mut upload = backend.put("k", of_length(length * MIB)).await.unwrap();
        let mut failed = false;
        for _ in 0..length {
            failed |= upload.write(Bytes::from(vec![1; MIB])).await.is_err();
        }
        let finished = upload.finish().await;
        assert!(
            failed
                || finished.is_err_and(|error| error.kind == ErrorKind::Busy { retry_after: None })
        );
        assert_eq!(server.take_requests().len(), 1);
    }
}
