//! A full callback queue refuses accesses with a callback.

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, Method, Refusal};

pub const LIMITS: QueueLimits = QueueLimits {
    max_pending: 2,
    ..DEFAULT_LIMITS
};

pub async fn accesses_with_a_callback_are_refused_while_the_queue_is_full(f: Fixture) {
    let mut record = f.reported(Method::Get, 3);
    f.create(id(1), record.clone()).await;
    record.method = Method::Put;
    f.create(id(2), record).await;
    for _ in 0..2 {
        let download = f.admit(id(1), Access::Get).await;
        f.commit(download).await;
    }
    assert_eq!(f.refusal(id(1), Access::Get).await, Refusal::QueueFull);
    assert_eq!(f.refusal(id(2), Access::Put).await, Refusal::QueueFull);
    // A refused access is not counted.
    assert_eq!(f.used(id(1)).await, 2);
    assert_eq!(f.take_events().await.len(), 2);
    f.admit(id(1), Access::Get).await;
    f.admit(id(2), Access::Put).await;
}

pub async fn an_admitted_upload_reports_to_a_full_queue(f: Fixture) {
    f.create(id(1), f.reported(Method::Put, 3)).await;
    let mut uploads = Vec::new();
    for _ in 0..3 {
        uploads.push(f.admit(id(1), Access::Put).await);
    }
    for upload in uploads {
        f.finalise(&upload).await;
        f.commit(upload).await;
    }
    assert_eq!(f.take_events().await.len(), 3);
}

pub async fn accesses_without_a_callback_ignore_a_full_queue(f: Fixture) {
    for n in 0..2 {
        f.stores
            .callbacks
            .enqueue(f.event(&n.to_string()))
            .await
            .unwrap();
    }
    f.create(id(1), f.limited(Method::Get, 1)).await;
    f.admit(id(1), Access::Get).await;
}
