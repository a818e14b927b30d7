//! Traffic of every kind, killed at moments of chance, several times on the same folders.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::task::JoinSet;

use super::downloads::Downloads;
use super::scene::{Gateway, Scene, until};
use super::{token_changes as control, uploads};

const ROUNDS: u64 = 4;
/// Successes of a round before it is killed, by kind: a busy machine makes rounds longer, not
/// weaker.
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
    control: JoinSet<Vec<control::Issued>>,
    downloads: JoinSet<()>,
    uploads: JoinSet<Vec<uploads::Uploaded>>,
    progress: Arc<Progress>,
}

impl Traffic {
    fn start(scene: &Scene, gateway: &Gateway, downloads: &Arc<Downloads>, round: u64) -> Self {
        let mut traffic = Self {
            control: JoinSet::new(),
            downloads: JoinSet::new(),
            uploads: JoinSet::new(),
            progress: Arc::default(),
        };
        for task in 0..4 {
            let done = traffic.counting(|progress| &progress.issued);
            let name = format!("issued/{round}/{task}");
            traffic
                .control
                .spawn(control::work(gateway.clone(), name, done));
            let done = traffic.counting(|progress| &progress.uploaded);
            let number = 100 * round + task;
            let callback = scene.callback_url();
            traffic
                .uploads
                .spawn(uploads::work(gateway.clone(), callback, number, done));
        }
        for task in 0..8 {
            let done = traffic.counting(|progress| &progress.downloaded);
            let downloads = Arc::clone(downloads);
            traffic
                .downloads
                .spawn(downloads.work(gateway.clone(), task, done));
        }
        let stalled = uploads::stall(gateway.clone(), scene.callback_url(), round);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_else_is_left() {
    let scene = Scene::new("").await;
    let (mut process, mut gateway) = scene.start().await;
    let downloads = Downloads::prepare(&scene, &gateway).await;
    let (mut issued, mut uploaded) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let traffic = Traffic::start(&scene, &gateway, &downloads, round);
        until("enough has happened", async || {
            // The stalled upload has come as far as the disk.
            let stalled = !scene.temporary_files().is_empty();
            (stalled && traffic.progress.is_enough()).then_some(())
        })
        .await;
        // Another moment in each round, in the middle of what runs.
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        process.kill();
        let left = scene.temporary_files();
        assert!(!left.is_empty(), "the stalled upload has a file");
        issued.extend(traffic.control.join_all().await.into_iter().flatten());
        uploaded.extend(traffic.uploads.join_all().await.into_iter().flatten());
        traffic.downloads.join_all().await;

        (process, gateway) = scene.start().await;
        assert!(
            scene.temporary_files().is_disjoint(&left),
            "a temporary file has survived"
        );
        control::check(&gateway, &issued).await;
        downloads.check(&gateway).await;
        uploads::check(&scene, &gateway, &uploaded).await;
    }
    downloads.drain(&gateway).await;
    downloads.check_events(&scene, &gateway).await;
    uploads::use_again(&scene, &gateway, &uploaded).await;

    // An orderly end loses nothing of what is written late.
    let before = downloads.unlimited(&gateway).await;
    downloads.download_unlimited(&gateway, 3).await;
    process.stop().await;
    let (process, gateway) = scene.start().await;
    let after = downloads.unlimited(&gateway).await;
    for ((_, before), (_, after)) in before.into_iter().zip(after) {
        assert_eq!(after - before, 3);
    }
    process.stop().await;
}
