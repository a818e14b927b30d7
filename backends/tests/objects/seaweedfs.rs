//! Both S3 adapters against a real SeaweedFS.

use std::time::Duration;

use asset_gateway_backends::conformance::object_backend::{Gaps, Subject, run_all};
use asset_gateway_backends::object_backend::PutOptions;
use asset_gateway_backends::open::open_bucket;
use asset_gateway_backends::settings::BucketSettings;
use bytes::Bytes;

use crate::support::s3_settings;
use crate::support::seaweedfs::Weed;

/// All cases in one test: the server takes seconds to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance() {
    run(s3_settings).await;
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_aws() {
    run(crate::support::aws_settings).await;
}

async fn run(settings: fn(String) -> BucketSettings) {
    let weed = Weed::start().await;
    let backend = open_bucket(&settings(weed.endpoint.clone())).unwrap();

    // The listing shows an open upload.
    let mut upload = backend.put("open", PutOptions::default()).await.unwrap();
    for _ in 0..18 {
        upload.write(Bytes::from(vec![1; 1 << 20])).await.unwrap();
    }
    assert_ne!(weed.open_uploads().await, "");
    upload.abort().await.unwrap();
    assert_eq!(weed.open_uploads().await, "");

    let subject = Subject::new(backend).with_gaps(Gaps {
        guesses_unknown_types: true,
        // SeaweedFS keeps objects in the folders of its filer.
        keys_are_paths: true,
        ..Gaps::default()
    });
    let failed = run_all(&subject).await;
    assert!(failed.is_empty(), "failed: {failed:#?}");

    // A dropped upload is aborted in the background.
    let mut open = weed.open_uploads().await;
    for _ in 0..50 {
        if open.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        open = weed.open_uploads().await;
    }
    assert_eq!(open, "", "multipart uploads that were left open");
}
