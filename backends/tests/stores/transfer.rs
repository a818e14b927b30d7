//! A store that moves from sled to Redis and back is the store that it was.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::conformance::fixture::{
    Fixture, LEASE, Time, attempt, caller, id, request,
};
use asset_gateway_backends::error::Result as StoreResult;
use asset_gateway_backends::open::{Stores, open_offline, open_stores, refuse_unfinished_import};
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use asset_gateway_backends::token_store::{
    Access, Charged, HitOn, LeaseState, Method, MultipartUpload, Refusal, ReserveRequest, Reserved,
};
use asset_gateway_backends::transfer::{
    Archive, Counts, Header, ImportMarker, OfflineStore, Page, TransferError, export, import,
};
use asset_gateway_backends::{BackendError, ErrorKind};

use super::redis::support::cluster::Cluster;
use super::redis::support::server::Server;

const LIMITS: QueueLimits = QueueLimits {
    max_pending: 1_000,
    report_incomplete: true,
    keep_dead: None,
};

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(600);
/// Whoever has not forgotten an upload by then is asked again.
const SOON: Duration = Duration::from_millis(1);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn sled(path: &Path) -> TokenStoreSettings {
    TokenStoreSettings::Sled(SledSettings { path: path.into() })
}

fn redis(server: &Server) -> TokenStoreSettings {
    TokenStoreSettings::Redis(server.settings())
}

fn serve(settings: &TokenStoreSettings) -> Stores {
    open_stores(settings, LIMITS, Arc::new(SystemClock)).unwrap()
}

/// A store with one of everything, and nobody who uses it.
async fn one_of_everything(settings: &TokenStoreSettings) {
    let fixture = Fixture {
        stores: serve(settings),
        time: Time::Real,
        guard: Box::new(()),
    };
    let now = fixture.now();

    let mut half_used = fixture.limited(Method::Get, 4);
    half_used.tags = vec!["a".into(), "b".into()];
    half_used.metadata = [("order".to_owned(), "\"7\" ü".to_owned())].into();
    half_used.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    half_used.filename = "ü.pdf".into();
    fixture.create(id(1), half_used).await;
    let rules = match fixture.reserve(id(1), &asked()).await {
        Reserved::CheckRules { incarnation, .. } => incarnation,
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        let mut request = asked();
        request.rules_checked = Some(rules);
        fixture.admit_with(id(1), &request).await;
    }

    let mut complete = fixture.limited(Method::Get, 3);
    complete.hit_on = HitOn::Complete;
    fixture.create(id(2), complete).await;
    let whole = fixture.admit(id(2), Access::Get).await;
    let charged = fixture.stores.tokens.charge(&whole, 42, 100).await.unwrap();
    assert_eq!(charged, Charged::Done);
    assert_eq!(fixture.commit(whole).await, LeaseState::Held);
    // A plain lease, which ends with its process.
    let _left = fixture.admit(id(2), Access::Get).await;

    let mut expired = fixture.record(Method::Get);
    expired.expire_at = now - 10;
    fixture.create(id(3), expired).await;
    let mut gone = fixture.record(Method::Get);
    gone.expire_at = now - 100_000;
    fixture.create(id(4), gone).await;

    let mut window = fixture.limited(Method::Get, 1);
    window.hit_window_seconds = Some(3_600);
    fixture.create(id(5), window).await;
    fixture.admit(id(5), Access::Get).await;
    fixture.admit(id(5), Access::Get).await;

    fixture
        .create(id(6), fixture.reported(Method::Put, 2))
        .await;
    let uploaded = fixture.admit(id(6), Access::Put).await;
    assert_eq!(fixture.finalise(&uploaded).await, LeaseState::Held);
    assert_eq!(fixture.commit(uploaded).await, LeaseState::Held);
    let finalising = fixture.admit(id(6), Access::Put).await;
    let parts = MultipartUpload {
        bucket: "bucket".into(),
        key: "a/key".into(),
        reference: "what storage calls it".into(),
        began_at_ms: fixture.now_ms(),
    };
    let recorded = fixture
        .stores
        .tokens
        .record_upload(finalising.lease().unwrap(), parts);
    assert_eq!(recorded.await.unwrap(), LeaseState::Held);
    assert_eq!(fixture.finalise(&finalising).await, LeaseState::Held);

    // A download under way, with a callback.
    fixture
        .create(id(7), fixture.reported(Method::Get, 2))
        .await;
    fixture.admit(id(7), Access::Get).await;

    let queue = &fixture.stores.callbacks;
    let claimed = queue.claim(10, LEASE).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let event = &claimed[0].event.id;
    for n in 0..3 {
        let tried = attempt("status_500", fixture.now_ms() + n);
        let due = fixture.now_ms() + 60_000;
        queue.retry(event, tried, due).await.unwrap();
    }
    for key in ["buried", "waits"] {
        queue.enqueue(fixture.event(key)).await.unwrap();
    }
    let claimed = queue.claim(1, LEASE).await.unwrap();
    let given_up = attempt("timeout", fixture.now_ms());
    queue
        .dead_letter(&claimed[0].event.id, given_up)
        .await
        .unwrap();
    fixture.stores.tokens.close().await.unwrap();
}

fn asked() -> ReserveRequest<'static> {
    request(Access::Get)
}

fn header(engine: &str) -> Header {
    let now_ms = SystemClock.now_ms();
    Header::new(
        format!("of-{engine}-{now_ms}"),
        engine,
        String::new(),
        "test",
        now_ms,
    )
}

async fn exported(settings: &TokenStoreSettings) -> Vec<u8> {
    let store = open_offline(settings, false).unwrap();
    let mut archive = Vec::new();
    let header = header(store.engine());
    export(store, &header, false, &mut archive).await.unwrap();
    archive
}

async fn imported(archive: &[u8], settings: &TokenStoreSettings) -> Result<Counts, TransferError> {
    let store = open_offline(settings, true).unwrap();
    let checked = Archive::check(archive, SystemClock.now_seconds()).unwrap();
    import(store, &checked, archive, false).await
}

/// Without header and trailer, in one order.
fn entries(archive: &[u8]) -> Vec<String> {
    let text = String::from_utf8(archive.to_vec()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.remove(0);
    lines.pop();
    lines.sort();
    lines
}

const EVERYTHING: Counts = Counts {
    tokens: 6,
    finalising: 1,
    uploads: 1,
    downloads: 1,
    pending: 2,
    dead: 1,
};

/// To `there` and to another sled: three times the same.
async fn there_and_back(there: &TokenStoreSettings) {
    let folder = tempfile::tempdir().unwrap();
    let [first, last] = ["first", "last"].map(|name| sled(&folder.path().join(name)));
    one_of_everything(&first).await;
    let archive = exported(&first).await;
    assert_eq!(imported(&archive, there).await.unwrap(), EVERYTHING);
    let again = exported(there).await;
    assert_eq!(entries(&archive), entries(&again));
    assert_eq!(imported(&again, &last).await.unwrap(), EVERYTHING);
    assert_eq!(entries(&archive), entries(&exported(&last).await));
    goes_on(&last).await;
    goes_on(there).await;
}

/// What a gateway finds that is started on it.
async fn goes_on(settings: &TokenStoreSettings) {
    let fixture = Fixture {
        stores: serve(settings),
        time: Time::Real,
        guard: Box::new(()),
    };
    for (n, used) in [(1, 2), (2, 1), (3, 0), (5, 1), (6, 1), (7, 1)] {
        assert_eq!(fixture.used(id(n)).await, used, "{n}");
    }
    assert!(fixture.stores.tokens.get(id(4)).await.unwrap().is_none());
    assert_eq!(fixture.refusal(id(3), Access::Get).await, Refusal::Expired);
    // The same client rides on, another one has no hit.
    fixture.admit(id(5), Access::Get).await;
    let mut other = asked();
    other.caller = caller(9);
    assert_eq!(
        fixture.refusal_with(id(5), &other).await,
        Refusal::HitsExceeded
    );
    // 42 bytes were charged.
    let whole = fixture.admit(id(2), Access::Get).await;
    let tokens = &fixture.stores.tokens;
    assert_eq!(
        tokens.charge(&whole, 59, 100).await.unwrap(),
        Charged::OverBudget
    );
    assert_eq!(tokens.charge(&whole, 58, 100).await.unwrap(), Charged::Done);
    // The upload that was left finalising holds its hit until it is settled, once.
    assert_eq!(
        fixture.refusal(id(6), Access::Put).await,
        Refusal::HitsExceeded
    );
    assert!(tokens.abandoned_uploads(SOON).await.unwrap().is_empty());
    let unsettled = tokens.sweep(LONG).await.unwrap();
    assert_eq!(unsettled.len(), 1);
    assert!(tokens.sweep(LONG).await.unwrap().is_empty());
    for upload in unsettled {
        assert_eq!(upload.reservation.token_id(), id(6));
        tokens.release(upload.reservation, 0, None).await.unwrap();
    }
    let mut abandoned = Vec::new();
    until("the parts are handed out", async || {
        abandoned = tokens.abandoned_uploads(SOON).await.unwrap();
        !abandoned.is_empty()
    })
    .await;
    assert_eq!(abandoned.len(), 1);
    assert_eq!(abandoned[0].upload.reference, "what storage calls it");
    let stats = fixture.stores.callbacks.stats().await.unwrap();
    assert_eq!(stats.dead, 1);
    tokens.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sled_to_redis_and_back_nothing_changes() {
    let server = Server::start();
    there_and_back(&redis(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sled_to_a_cluster_and_back_nothing_changes() {
    let cluster = Cluster::start();
    there_and_back(&TokenStoreSettings::Redis(cluster.settings())).await;
}

/// Written in Redis by scripts, which have encoders of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_began_in_redis_moves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let [here, there] = [Server::start(), Server::start()];
    one_of_everything(&redis(&here)).await;
    let archive = exported(&redis(&here)).await;
    let on_disk = sled(&folder.path().join("tokens"));
    assert_eq!(imported(&archive, &on_disk).await.unwrap(), EVERYTHING);
    let again = exported(&on_disk).await;
    assert_eq!(entries(&archive), entries(&again));
    assert_eq!(imported(&again, &redis(&there)).await.unwrap(), EVERYTHING);
    goes_on(&redis(&there)).await;
}

/// Killed in the middle: nobody serves, another import is refused, the same one goes on.
async fn half_an_import(settings: &TokenStoreSettings) {
    let folder = tempfile::tempdir().unwrap();
    let first = sled(&folder.path().join("first"));
    one_of_everything(&first).await;
    let archive = exported(&first).await;
    let checked = Archive::check(archive.as_slice(), SystemClock.now_seconds()).unwrap();
    let cut = Interrupted(open_offline(settings, true).unwrap());
    let store: Arc<dyn OfflineStore> = Arc::new(cut);
    let ended = import(store, &checked, archive.as_slice(), false).await;
    assert!(matches!(ended, Err(TransferError::Store(_))), "{ended:?}");

    let refused = match refuse_unfinished_import(settings).await {
        Ok(()) => open_stores(settings, LIMITS, Arc::new(SystemClock)).map(drop),
        refused => refused,
    };
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("has not ended") && refused.contains("store import"),
        "{refused}"
    );
    let store = open_offline(settings, true).unwrap();
    let half = export(Arc::clone(&store), &header("half"), false, Vec::new()).await;
    assert!(
        matches!(half, Err(TransferError::UnfinishedImport { .. })),
        "{half:?}"
    );
    drop(store);
    let other = exported(&first).await;
    let other = imported(&other, settings).await;
    assert!(
        matches!(other, Err(TransferError::UnfinishedImport { .. })),
        "{other:?}"
    );

    assert_eq!(imported(&archive, settings).await.unwrap(), EVERYTHING);
    assert_eq!(entries(&archive), entries(&exported(settings).await));
    // It is done: not empty, and nobody's to load again.
    let again = imported(&archive, settings).await;
    assert!(
        matches!(again, Err(TransferError::NotEmpty { .. })),
        "{again:?}"
    );
    goes_on(settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_import_into_sled_is_refused_until_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    half_an_import(&sled(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_import_into_redis_is_refused_until_it_is_whole() {
    let server = Server::start();
    half_an_import(&redis(&server)).await;
}

/// A node that found Redis away at its start sees the marker when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_serves_nothing_from_half_an_import() {
    let server = Server::start();
    let store = open_offline(&redis(&server), true).unwrap();
    let marker = ImportMarker {
        export_id: "begun".into(),
        sha256: String::new(),
    };
    store.begin_import(&marker).await.unwrap();
    let node = server.node(LIMITS);
    let error = node.tokens.get(id(1)).await.unwrap_err().to_string();
    assert!(error.contains("has not ended"), "{error}");
    assert!(node.tokens.ping().await.is_err());
    assert_eq!(
        store.live_nodes().await.unwrap(),
        0,
        "it showed no heartbeat"
    );
    store.end_import().await.unwrap();
    assert!(node.tokens.get(id(1)).await.unwrap().is_none());
    node.tokens.ping().await.unwrap();
}

/// While gateways run on a Redis it is neither read nor written, but by force.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let first = sled(&folder.path().join("first"));
    one_of_everything(&first).await;
    let archive = exported(&first).await;
    let server = Server::start();
    let node = server.node(LIMITS);
    node.tokens.ping().await.unwrap();
    let store = open_offline(&redis(&server), true).unwrap();
    until("the node shows itself", async || {
        store.live_nodes().await.unwrap() == 1
    })
    .await;
    let taken = imported(&archive, &redis(&server)).await;
    assert!(
        matches!(taken, Err(TransferError::NodesAlive { nodes: 1, .. })),
        "{taken:?}"
    );
    assert_eq!(store.import_marker().await.unwrap(), None);
    assert!(store.is_empty().await.unwrap());
    let read = export(Arc::clone(&store), &header("redis"), false, Vec::new()).await;
    assert!(
        matches!(read, Err(TransferError::NodesAlive { .. })),
        "{read:?}"
    );
    export(Arc::clone(&store), &header("redis"), true, Vec::new())
        .await
        .unwrap();
    node.tokens.close().await.unwrap();
    drop(node);
    assert_eq!(
        imported(&archive, &redis(&server)).await.unwrap(),
        EVERYTHING
    );
}

/// Dies before it writes the second half.
struct Interrupted(Arc<dyn OfflineStore>);

#[async_trait::async_trait]
impl OfflineStore for Interrupted {
    fn engine(&self) -> &'static str {
        self.0.engine()
    }

    async fn live_nodes(&self) -> StoreResult<u64> {
        self.0.live_nodes().await
    }

    async fn import_marker(&self) -> StoreResult<Option<ImportMarker>> {
        self.0.import_marker().await
    }

    async fn is_empty(&self) -> StoreResult<bool> {
        self.0.is_empty().await
    }

    async fn begin_import(&self, marker: &ImportMarker) -> StoreResult<()> {
        self.0.begin_import(marker).await
    }

    async fn end_import(&self) -> StoreResult<()> {
        self.0.end_import().await
    }

    async fn dump(&self, pages: tokio::sync::mpsc::Sender<Page>) -> StoreResult<()> {
        self.0.dump(pages).await
    }

    async fn load(&self, mut page: Page) -> StoreResult<()> {
        page.truncate(page.len() / 2);
        self.0.load(page).await?;
        let kind = ErrorKind::Unavailable;
        Err(BackendError::new(kind, "killed"))
    }
}
