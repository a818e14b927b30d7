//! An upload is all or nothing.

use super::Subject;
use super::tools::*;
use crate::object_backend::PutOptions;

const LENGTHS: [usize; 2] = [1000, 17 * MIB];

pub async fn nothing_is_visible_before_finish(subject: &Subject) {
    for length in LENGTHS {
        let key = subject.key(&format!("unfinished-{length}"));
        let bytes = pattern(length, 40);
        let upload = subject.backend.put(&key, PutOptions::default()).await;
        let mut upload = upload.expect("an upload begins");
        write_in_pieces(&mut upload, &bytes, 100_000).await;
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
        write_in_pieces(&mut upload, &pattern(length, 41), 100_000).await;
        upload.abort().await.expect("the upload is given up");
        assert_missing(subject, &key).await;
    }
    let key = subject.key("aborted-at-once");
    let upload = subject.backend.put(&key, PutOptions::default()).await;
    let upload = upload.expect("an upload begins");
    upload.abort().await.expect("the upload is given up");
    assert_missing(subject, &key).await;
}

pub async fn abort_leaves_the_old_object(subject: &Subject) {
    let key = subject.key("kept");
    let old = pattern(5000, 42);
    put(subject, &key, &old).await;
    for length in LENGTHS {
        let upload = subject.backend.put(&key, PutOptions::default()).await;
        let mut upload = upload.expect("an upload begins");
        write_in_pieces(&mut upload, &pattern(length, 43), 100_000).await;
        assert_same(&read(get(subject, &key).await).await, &old);
        upload.abort().await.expect("the upload is given up");
        assert_same(&read(get(subject, &key).await).await, &old);
    }
}

pub async fn a_dropped_upload_leaves_nothing(subject: &Subject) {
    for length in LENGTHS {
        let key = subject.key(&format!("dropped-{length}"));
        let upload = subject.backend.put(&key, PutOptions::default()).await;
        let mut upload = upload.expect("an upload begins");
        write_in_pieces(&mut upload, &pattern(length, 44), 100_000).await;
        drop(upload);
        assert_missing(subject, &key).await;
    }
}
