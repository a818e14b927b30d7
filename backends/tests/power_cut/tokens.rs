//! The embedded store: an acknowledged token survives, with its hits.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::CALLER;
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{
    Access, Created, Method, ReserveRequest, Reserved, TokenId, TokenRecord, TokenStore,
};
use futures_util::future::join_all;

use super::disk::{Disk, Tree};
use super::{acknowledge, folder, scratch, trace};

const STORE: &str = "data/tokens";
const TOKENS_PER_ROUND: u8 = 6;

fn open(root: &Path) -> Stores {
    let path: PathBuf = root.join(STORE);
    let settings = TokenStoreSettings::Sled(SledSettings { path });
    open_stores(&settings, QueueLimits::default(), Arc::new(SystemClock)).unwrap()
}

/// Creates a token and counts a hit.
async fn one(store: &dyn TokenStore, number: u8) {
    let id = TokenId([number; 16]);
    let mut record = TokenRecord::new("bucket", "key", Method::Get, 0, u64::MAX / 2);
    record.max_hits = Some(3);
    let created = store.create(vec![(id, record)]).await.unwrap();
    assert_eq!(created, Created::Done);
    acknowledge(&format!("{number} 0"));
    let request = ReserveRequest {
        access: Access::Get,
        declared_size: None,
        rules_checked: None,
        lease: Duration::from_secs(60),
        caller: CALLER,
    };
    let reserved = store.reserve(id, &request).await.unwrap();
    assert!(matches!(reserved, Reserved::Admitted { .. }));
    acknowledge(&format!("{number} 1"));
}

#[test]
#[ignore = "run by the recording test"]
fn recorded() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let stores = open(&folder());
        for number in 0..TOKENS_PER_ROUND {
            one(&*stores.tokens, number).await;
        }
        join_all(
            (TOKENS_PER_ROUND..2 * TOKENS_PER_ROUND).map(|number| one(&*stores.tokens, number)),
        )
        .await;
        // The store is not closed: the power is cut.
        std::mem::forget(stores);
    });
}

#[test]
fn acknowledged_tokens_and_hits_survive() {
    let recorded = scratch();
    let calls = trace::record("tokens::recorded", recorded.path());
    let mut disk = Disk::new(recorded.path(), |_| false);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut seen = HashSet::new();
    let mut cuts = 0;
    for call in &calls {
        // Bytes that were not synced need no cut of their own.
        let matters = disk.apply(call) && !matches!(call.name.as_str(), "pwrite64");
        if !matters || disk.acknowledged.is_empty() {
            continue;
        }
        for tree in disk.after_power_cuts() {
            let mut hasher = DefaultHasher::new();
            (&tree, &disk.acknowledged).hash(&mut hasher);
            if seen.insert(hasher.finish()) {
                cuts += 1;
                runtime.block_on(check(&tree, &disk.acknowledged));
            }
        }
    }
    assert_eq!(disk.acknowledged.len(), 4 * usize::from(TOKENS_PER_ROUND));
    assert!(cuts >= 4 * usize::from(TOKENS_PER_ROUND), "{cuts}");
}

async fn check(tree: &Tree, acknowledged: &[String]) {
    let scratch = scratch();
    for (path, found) in tree {
        let target = scratch.path().join(path);
        match found {
            None if path.as_os_str().is_empty() => {}
            None => std::fs::create_dir(&target).unwrap(),
            Some(found) => std::fs::write(&target, &found.content.bytes).unwrap(),
        }
    }
    let stores = open(scratch.path());
    for line in acknowledged {
        let (number, hits) = line.split_once(' ').unwrap();
        let id = TokenId([number.parse().unwrap(); 16]);
        let found = stores.tokens.get(id).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("token {number} is lost"));
        assert!(found.used_hits >= hits.parse().unwrap(), "a hit is lost");
    }
}
