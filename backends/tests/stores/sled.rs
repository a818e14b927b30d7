//! The conformance suites for sled, and tests of its folder and durability.

use std::path::Path;
use std::sync::Arc;

use asset_gateway_backends::clock::TestClock;
use asset_gateway_backends::conformance::fixture::{Fixture, Time};
use asset_gateway_backends::open::{OpenError, Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{Created, Method, TokenId, TokenRecord};
use asset_gateway_backends::{callback_queue_suite, token_store_suite};

fn settings(path: &Path) -> TokenStoreSettings {
    TokenStoreSettings::Sled(SledSettings { path: path.into() })
}

fn open(path: &Path) -> Result<Stores, OpenError> {
    let clock = Arc::new(TestClock::at(super::START_MS));
    open_stores(&settings(path), QueueLimits::default(), clock)
}

async fn on_disk(limits: QueueLimits) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(super::START_MS);
    let settings = settings(&folder.path().join("created/tokens"));
    Fixture {
        stores: open_stores(&settings, limits, Arc::new(clock.clone())).unwrap(),
        time: Time::Moved(clock),
        guard: Box::new(folder),
    }
}

token_store_suite!(tokens, on_disk);
callback_queue_suite!(callbacks, on_disk);

#[tokio::test]
async fn a_folder_in_use_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).err().unwrap().to_string();
    let expected = format!("{} is in use by another process", folder.path().display());
    assert!(error.contains(&expected), "{error}");
    // Dropping the store unlocks the folder at once.
    drop(first);
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_path_that_is_not_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = open(&file.join("tokens")).err().unwrap().to_string();
    assert_eq!(
        error,
        format!("`sled.path`: {} is not a folder", file.display())
    );
}

fn id(n: u32) -> TokenId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes[4] = 1;
    TokenId(bytes)
}

/// One flush serves many waiters, which are answered after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_acknowledged_writes_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path()).unwrap();
    let tasks = (0..500).map(|n| {
        let tokens = stores.tokens.clone();
        tokio::spawn(async move {
            let record = TokenRecord::new("bucket", "key", Method::Get, 0, u64::MAX / 2);
            let created = tokens.create(vec![(id(n), record)]).await;
            assert_eq!(created.unwrap(), Created::Done);
        })
    });
    for task in futures_util::future::join_all(tasks).await {
        task.unwrap();
    }
    // A copy is what a kill leaves; dropping the store would write its buffer.
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let reopened = open(copy.path()).unwrap();
    for n in 0..500 {
        assert!(reopened.tokens.get(id(n)).await.unwrap().is_some(), "{n}");
    }
}
