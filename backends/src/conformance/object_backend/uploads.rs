//! Uploads become visible whole or not at all; fences and recovery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::Subject;
use super::tools::*;
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::{Fence, PutOptions, Recorder, Upload};

const LENGTHS: [usize; 2] = [1000, 17 * MIB];

pub async fn nothing_is_visible_before_finish(subject: &Subject) {
    for length in LENGTHS {
        let key = subject.key(&format!("unfinished-{length}"));
        let bytes = pattern(length, 40);
        let upload = subject.backend.put(&key, PutOptions::default()).await;
        let mut upload = upload.expect("an upload begins");
        write_in_chunks(&mut upload, &bytes, 100_000).await;
        assert_missing(subject, &key).await;
        upload.finish().await.expect("the object is stored");
        assert_same(&read(get(subject, &key).await).await, &bytes);
    }
}

pub async fn abort_leaves_nothing(subject: &Subject) {
    for length in LENGTHS {
        let key = subject.key(&format!("aborted-{length}"));
        let upload = subject.backend.put(&key, PutOptions::default()).await;
        let mut upload = upload.expect("an upload begins");
        write_in_chunks(&mut upload, &pattern(length, 41), 100_000).await;
        upload.abort().await.expect("the upload is aborted");
        assert_missing(subject, &key).await;
    }
    let key = subject.key("aborted-at-once");
    let upload = subject.backend.put(&key, PutOptions::default()).await;
    let upload = upload.expect("an upload begins");
    upload.abort().await.expect("the upload is aborted");
    assert_missing(subject, &key).await;
}

pub async fn abort_leaves_the_old_object(subject: &Subject) {
    let key = subject.key("kept");
    let old = pattern(5000, 42);
    put(subject, &key, &old).await;
    for length in LENGTHS {
        let upload = subject.backend.put(&key, PutOptions::default()).await;
        let mut upload = upload.expect("an upload begins");
        write_in_chunks(&mut upload, &pattern(length, 43), 100_000).await;
        assert_same(&read(get(subject, &key).await).await, &old);
        upload.abort().await.expect("the upload is aborted");
        assert_same(&read(get(subject, &key).await).await, &old);
    }
}

pub async fn a_dropped_upload_leaves_nothing(subject: &Subject) {
    for length in LENGTHS {
        let key = subject.key(&format!("dropped-{length}"));
        let upload = subject.backend.put(&key, PutOptions::default()).await;
        let mut upload = upload.expect("an upload begins");
        write_in_chunks(&mut upload, &pattern(length, 44), 100_000).await;
        drop(upload);
        assert_missing(subject, &key).await;
    }
}

/// Keeps the recorded ids, or refuses to record.
#[derive(Debug, Default)]
struct Recorded {
    references: Mutex<Vec<String>>,
    refuses: bool,
}

#[async_trait]
impl Recorder for Recorded {
    async fn record(&self, reference: &str) -> Result<()> {
        self.references.lock().push(reference.to_owned());
        match self.refuses {
            true => Err(BackendError::new(ErrorKind::Unavailable, "record")),
            false => Ok(()),
        }
    }
}

async fn begin(subject: &Subject, key: &str, recorder: &Arc<Recorded>) -> Box<dyn Upload> {
    let recorder: Arc<dyn Recorder> = Arc::clone(recorder) as _;
    let options = PutOptions {
        recorder: Some(recorder),
        ..PutOptions::default()
    };
    let upload = subject.backend.put(key, options).await;
    upload.expect("an upload begins")
}

/// As the recovery of an upload whose writer died. A single request has no upload id, and some backends
/// have none at all.
pub async fn a_multipart_upload_is_aborted_by_its_id(subject: &Subject) {
    let key = subject.key("left-in-parts");
    let recorder = Arc::<Recorded>::default();
    let mut small = begin(subject, &key, &recorder).await;
    write_in_chunks(&mut small, &pattern(1000, 45), 100_000).await;
    small.finish().await.expect("the object is stored");
    assert!(recorder.references.lock().is_empty());

    let mut large = begin(subject, &key, &recorder).await;
    write_in_chunks(&mut large, &pattern(17 * MIB, 46), 100_000).await;
    let references = recorder.references.lock().clone();
    let Some(reference) = references.first() else {
        large.abort().await.expect("the upload is aborted");
        return;
    };
    assert_eq!(references.len(), 1);
    let aborted = subject.backend.abort_upload(&key, reference).await;
    aborted.expect("aborted");
    if !subject.gaps.refuses_unknown_uploads {
        let again = subject.backend.abort_upload(&key, reference).await;
        again.expect("aborting an upload that is gone is a success");
    }
    assert!(large.finish().await.is_err(), "its parts are gone");
    assert_same(&read(get(subject, &key).await).await, &pattern(1000, 45));
}

pub async fn an_upload_whose_id_cannot_be_recorded_fails(subject: &Subject) {
    let key = subject.key("not-recorded");
    let recorder = Arc::new(Recorded {
        refuses: true,
        ..Recorded::default()
    });
    let mut upload = begin(subject, &key, &recorder).await;
    let bytes = pattern(17 * MIB, 47);
    let mut failed = false;
    for chunk in bytes.chunks(MIB) {
        failed = failed || upload.write(bytes.slice_ref(chunk)).await.is_err();
    }
    let has_references = !recorder.references.lock().is_empty();
    let finished = upload.finish().await;
    assert_eq!(failed || finished.is_err(), has_references);
    if has_references {
        assert_missing(subject, &key).await;
    }
}

#[derive(Debug, Default)]
struct Switch(AtomicBool);

impl Fence for Switch {
    fn is_past(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The fence passes before the first byte, in the middle, and just before the end; with and without an
/// earlier object; with and without a known length.
pub async fn a_past_fence_keeps_the_object_invisible(subject: &Subject) {
    for length in LENGTHS {
        for (is_known, must_not_exist) in [(false, false), (true, true)] {
            let key = subject.key(&format!("fenced-{length}-{is_known}"));
            let old = pattern(10, 50);
            if !must_not_exist {
                put(subject, &key, &old).await;
            }
            let bytes = pattern(length, 51);
            for after in [0, length / 2, length] {
                let fence = Arc::<Switch>::default();
                let options = PutOptions {
                    content_length: is_known.then_some(length as u64),
                    must_not_exist,
                    fence: Some(Arc::clone(&fence) as _),
                    ..PutOptions::default()
                };
                let upload = subject.backend.put(&key, options).await;
                let mut upload = upload.expect("an upload begins");
                let chunk_length = length.div_ceil(8);
                let mut failed = false;
                for (n, chunk) in bytes.chunks(chunk_length).enumerate() {
                    fence.0.store(n * chunk_length >= after, Ordering::SeqCst);
                    failed = failed || upload.write(bytes.slice_ref(chunk)).await.is_err();
                }
                fence.0.store(true, Ordering::SeqCst);
                let finished = upload.finish().await;
                assert!(failed || finished.is_err(), "{key}: the object is visible");
                if must_not_exist {
                    assert_missing(subject, &key).await;
                } else {
                    assert_same(&read(get(subject, &key).await).await, &old);
                }
            }
        }
    }
}

/// As the recovery of an upload whose writer is paused. Where storage cannot fence off, only the writer's
/// own fence protects.
pub async fn a_fenced_off_upload_stays_invisible(subject: &Subject) {
    let key = subject.key("fenced-off");
    let marked = |marker: &str| PutOptions {
        marker: Some(marker.to_owned()),
        ..PutOptions::default()
    };
    let upload = subject.backend.put(&key, marked("5f0c")).await;
    let mut upload = upload.expect("an upload begins");
    write_in_chunks(&mut upload, &pattern(1000, 52), 100_000).await;
    // Another upload, which is not fenced off.
    let other = subject.backend.put(&key, marked("5f0d")).await;
    let mut other = other.expect("an upload begins");
    write_in_chunks(&mut other, &pattern(1000, 53), 100_000).await;
    for marker in ["5f0c", "5f0c", "unknown", "../../x"] {
        let fenced_off = subject.backend.fence_off(marker).await;
        fenced_off.expect("fencing off an unknown marker is a success");
    }
    if subject.backend.capabilities().fences_off {
        assert!(upload.finish().await.is_err(), "the object is visible");
        assert_missing(subject, &key).await;
    } else {
        upload.abort().await.expect("the upload is aborted");
    }
    other.finish().await.expect("the object is stored");
    assert_same(&read(get(subject, &key).await).await, &pattern(1000, 53));
}
