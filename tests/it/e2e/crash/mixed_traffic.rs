//! Traffic of every kind, killed at random moments, several times on the same folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::task::JoinSet;

use super::downloads::Downloads;
use super::{builder, token_changes, uploads};
use crate::support::api::{Api, until};
use crate::support::callback_receiver::CallbackReceiver;

const ROUNDS: u64 = 4;
/// Successes of each kind before a round ends: a loaded machine makes rounds longer, not weaker.
const ISSUED: u64 = 30;
const DOWNLOADED: u64 = 60;
const UPLOADED: u64 = 15;

#[derive(Default)]
struct Progress {
    issued: AtomicU64,
    downloaded: AtomicU64,
    uploaded: AtomicU64,
}

impl Progress {
    fn is_enough(&self) -> bool {
        self.issued.load(SeqCst) >= ISSUED
            && self.downloaded.load(SeqCst) >= DOWNLOADED
            && self.uploaded.load(SeqCst) >= UPLOADED
    }
}

/// The tasks of one round. They end when the process does.
struct Traffic {
    changes: JoinSet<Vec<token_changes::Issued>>,
    downloads: JoinSet<()>,
    uploads: JoinSet<Vec<uploads::Uploaded>>,
    progress: Arc<Progress>,
}

impl Traffic {
    fn start(
        gateway: &Api,
        receiver: &CallbackReceiver,
        downloads: &Arc<Downloads>,
        round: u64,
    ) -> Self {
        let mut traffic = Self {
            changes: JoinSet::new(),
            downloads: JoinSet::new(),
            uploads: JoinSet::new(),
            progress: Arc::default(),
        };
        for task in 0..4 {
            let done = traffic.counting(|progress| &progress.issued);
            let name = format!("issued/{round}/{task}");
            traffic
                .changes
                .spawn(token_changes::work(Api::clone(gateway), name, done));
            let done = traffic.counting(|progress| &progress.uploaded);
            let number = 100 * round + task;
            let callback = receiver.url();
            traffic
                .uploads
                .spawn(uploads::work(Api::clone(gateway), callback, number, done));
        }
        for task in 0..8 {
            let done = traffic.counting(|progress| &progress.downloaded);
            let downloads = Arc::clone(downloads);
            traffic
                .downloads
                .spawn(downloads.work(Api::clone(gateway), task, done));
        }
        let stalled = uploads::stall(Api::clone(gateway), receiver.url(), round);
        traffic.uploads.spawn(stalled);
        traffic
    }

    /// Counts a success of one kind.
    fn counting(&self, of: fn(&Progress) -> &AtomicU64) -> impl Fn() + Send + 'static {
        let progress = Arc::clone(&self.progress);
        move || {
            of(&progress).fetch_add(1, SeqCst);
        }
    }
}

/// Files of uploads that are under way.
fn temporary_files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder.join("objects/.asset-gateway/tmp")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_acknowledged_and_leaves_nothing_else() {
    let receiver = CallbackReceiver::start().await;
    let mut gateway = builder().start();
    let downloads = Downloads::prepare(&gateway, &receiver).await;
    let (mut issued, mut uploaded) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let traffic = Traffic::start(&gateway, &receiver, &downloads, round);
        until("enough has happened", async || {
            // The stalled upload has come as far as the disk.
            !temporary_files(gateway.folder()).is_empty() && traffic.progress.is_enough()
        })
        .await;
        // Another moment in each round, in the middle of what runs.
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        let stopped = gateway.kill();
        let left = temporary_files(stopped.folder());
        assert!(!left.is_empty(), "the stalled upload has a file");
        issued.extend(traffic.changes.join_all().await.into_iter().flatten());
        uploaded.extend(traffic.uploads.join_all().await.into_iter().flatten());
        traffic.downloads.join_all().await;

        gateway = stopped.start();
        assert!(
            temporary_files(gateway.folder()).is_disjoint(&left),
            "a temporary file has survived"
        );
        token_changes::check(&gateway, &issued).await;
        downloads.check(&gateway).await;
        uploads::check(&gateway, &receiver, &uploaded).await;
    }
    downloads.drain(&gateway).await;
    downloads.check_events(&receiver, &gateway).await;
    uploads::use_again(&gateway, &uploaded).await;

    // An orderly end loses nothing of what is written late.
    let before = downloads.unlimited(&gateway).await;
    downloads.download_unlimited(&gateway, 3).await;
    let gateway = gateway.stop().start();
    let after = downloads.unlimited(&gateway).await;
    for ((_, before), (_, after)) in before.into_iter().zip(after) {
        assert_eq!(after - before, 3);
    }
    gateway.stop();
}
