//! Cost of one access in the token store: `reserve`, and `commit` where the store wants one.
//!
//! Measured by store, kind of token and number of concurrent tasks; each task has its own token.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::caller::{Caller, CallerRef};
use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::event::{Outcome, Report};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{
    Access, Intent, LeaseState, Method, ReserveRequest, Reserved, TokenId, TokenRecord, TokenStore,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const LEASE: Duration = Duration::from_secs(60);
const TASKS: [u8; 3] = [1, 16, 64];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Unlimited,
    Limited,
    /// Limited, with an event for each hit.
    Callback,
    /// A leased hit with intent and commit, each durable when it returns.
    Upload,
}

impl Kind {
    fn record(self, now: u64) -> TokenRecord {
        let method = match self {
            Self::Unlimited | Self::Limited | Self::Callback => Method::Get,
            Self::Upload => Method::Put,
        };
        let mut record = TokenRecord::new("local", "a.bin", method, now, now + 3600);
        record.max_hits = match self {
            Self::Unlimited => None,
            Self::Limited | Self::Callback | Self::Upload => Some(u64::MAX),
        };
        if matches!(self, Self::Callback) {
            record.callback = Some("http://receiver.invalid/".to_owned());
        }
        record
    }
}

const MEMORY: &str = "memory";
const SLED: &str = "sled";

/// Opens an empty store, in a folder that lives as long as its handle.
fn open(store: &str) -> (Arc<dyn TokenStore>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = match store {
        MEMORY => TokenStoreSettings::Memory,
        _ => TokenStoreSettings::Sled(SledSettings {
            path: folder.path().join("tokens"),
        }),
    };
    let limits = QueueLimits {
        max_pending: u64::MAX,
        ..QueueLimits::default()
    };
    let stores = open_stores(&settings, limits, Arc::new(SystemClock)).expect("a store");
    (stores.tokens, folder)
}

async fn redeem(store: &dyn TokenStore, id: TokenId, kind: Kind) {
    let request = ReserveRequest {
        access: match kind {
            Kind::Unlimited | Kind::Limited | Kind::Callback => Access::Get,
            Kind::Upload => Access::Put,
        },
        declared_size: None,
        rules_checked: None,
        lease: LEASE,
        caller: CallerRef {
            request_id: "5c0a3a9e-8e6e-4f38-9a57-6f1f6a1b2c3d",
            client_ip: ClientAddress::Known(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            user_agent: "curl/8.7.1",
            referer: "",
            range: "",
        },
    };
    let Reserved::Admitted { reservation, .. } = store.reserve(id, &request).await.expect("works")
    else {
        panic!("not admitted");
    };
    if matches!(kind, Kind::Upload) {
        let intent = Intent {
            size: 1024,
            caller: Caller::default(),
            at_ms: 0,
        };
        let held = store.finalise(&reservation, intent, LEASE).await;
        assert_eq!(held.expect("works"), LeaseState::Held);
    }
    if reservation.wants_commit() {
        let report = Report {
            outcome: Outcome::Complete,
            status: 200,
            size: 1024,
            etag: "0123456789abcdef".to_owned(),
            content_type: "text/plain".into(),
        };
        let held = store.commit(reservation, report).await;
        assert_eq!(held.expect("works"), LeaseState::Held);
    }
}

/// Time of `accesses` that are spread over `tasks`.
async fn run(store: Arc<dyn TokenStore>, kind: Kind, tasks: u8, accesses: u64) -> Duration {
    let began = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let store = Arc::clone(&store);
            let share = accesses / u64::from(tasks)
                + u64::from(accesses % u64::from(tasks) > u64::from(task));
            tokio::spawn(async move {
                for _ in 0..share {
                    redeem(black_box(store.as_ref()), TokenId([task; 16]), kind).await;
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("no panic");
    }
    began.elapsed()
}

fn token_redeem(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for store in [MEMORY, SLED] {
        for kind in [Kind::Unlimited, Kind::Limited, Kind::Callback, Kind::Upload] {
            let name = format!("token_redeem/{store}/{kind:?}").to_lowercase();
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Elements(1));
            for tasks in TASKS {
                let _inside = runtime.enter();
                let (tokens, _folder) = open(store);
                let record = kind.record(SystemClock.now_seconds());
                let records = (0..tasks).map(|task| (TokenId([task; 16]), record.clone()));
                let created = runtime.block_on(tokens.create(records.collect()));
                created.expect("created");
                group.bench_function(BenchmarkId::from_parameter(tasks), |bencher| {
                    bencher
                        .to_async(&runtime)
                        .iter_custom(|accesses| run(Arc::clone(&tokens), kind, tasks, accesses));
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, token_redeem);
criterion_main!(benches);
