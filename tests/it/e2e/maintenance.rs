//! Background tasks, over a store and buckets in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use asset_gateway::buckets::Buckets;
use asset_gateway::tokens::lease::{LeaseHandle, LeaseRenewal, lease_duration};
use asset_gateway::tokens::maintenance;
use asset_gateway_backends::clock::{Clock, TestClock};
use asset_gateway_backends::conformance::fixture::CALLER;
use asset_gateway_backends::object_backend::{ObjectBackend, PutOptions};
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, TokenStoreSettings};
use asset_gateway_backends::token_store::{
    Access, Intent, Method, Reservation, ReserveRequest, Reserved, TokenId, TokenRecord, TokenStore,
};

use crate::support::faulty_backend::{Fault, FaultyBackend};
use crate::support::faulty_store::{FaultyStore, StoreFaults};

/// Reserves the only hit of an upload into `alias`.
async fn lease(tokens: &dyn TokenStore, id: TokenId, alias: &str) -> Reservation {
    let key = id.to_string();
    let mut record = TokenRecord::new(alias, &key, Method::Put, 0, u64::MAX / 2);
    record.max_hits = Some(1);
    tokens.create(vec![(id, record)]).await.unwrap();
    let request = ReserveRequest {
        access: Access::Put,
        declared_size: None,
        rules_checked: None,
        lease: lease_duration(),
        caller: CALLER,
    };
    match tokens.reserve(id, &request).await.unwrap() {
        Reserved::Admitted { reservation, .. } => reservation,
        other => panic!("{other:?}"),
    }
}

/// Leaves an upload into `alias` visible and not committed, as a dead node does.
async fn leave_finalising(
    tokens: &dyn TokenStore,
    id: TokenId,
    alias: &str,
    bucket: &FaultyBackend,
) {
    let reservation = lease(tokens, id, alias).await;
    let intent = Intent {
        size: 5,
        caller: CALLER.into(),
        at_ms: 7,
    };
    tokens
        .finalise(&reservation, intent, lease_duration())
        .await
        .unwrap();
    let options = PutOptions {
        marker: reservation.marker(),
        ..PutOptions::default()
    };
    let mut upload = bucket.put(&id.to_string(), options).await.unwrap();
    upload.write("bytes".into()).await.unwrap();
    upload.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hanging_bucket_does_not_delay_recovery_in_others() {
    let clock = TestClock::at(1_780_000_000_000);
    let settings = TokenStoreSettings::Memory;
    let stores = open_stores(&settings, QueueLimits::default(), Arc::new(clock.clone()));
    let Stores { tokens, .. } = stores.unwrap_or_else(|error| panic!("{error}"));
    let (hanging, well) = (FaultyBackend::default(), FaultyBackend::default());
    let well_id = TokenId([9; 16]);
    for number in 1..4 {
        leave_finalising(&*tokens, TokenId([number; 16]), "hanging", &hanging).await;
    }
    leave_finalising(&*tokens, well_id, "well", &well).await;
    hanging.fail(Fault::Hang);
    clock.advance(lease_duration() + Duration::from_secs(1));

    let each: BTreeMap<String, Arc<dyn ObjectBackend>> = BTreeMap::from([
        ("hanging".to_owned(), Arc::new(hanging.clone()) as _),
        ("well".to_owned(), Arc::new(well) as _),
    ]);
    let used = async |id| tokens.get(id).await.unwrap().unwrap().used_hits;
    let sweeping = maintenance::sweep(
        Arc::clone(&tokens),
        Buckets::new(each),
        Arc::new(clock.clone()),
    );
    let sweeping = tokio::spawn(sweeping);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(used(well_id).await, 1);
    // The hanging bucket's uploads are recovered later.
    hanging.heal();
    tokio::time::sleep(lease_duration()).await;
    clock.advance(lease_duration() + Duration::from_secs(1));
    tokio::time::sleep(lease_duration()).await;
    for number in 1..4 {
        assert_eq!(used(TokenId([number; 16])).await, 1, "{number}");
    }
    sweeping.abort();
}

/// Otherwise two requests would use one hit, because the store frees it when the lease expires.
#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_lost_before_it_expires() {
    let clock = Arc::new(TestClock::at(1_780_000_000_000));
    let (settings, limits) = (TokenStoreSettings::Memory, QueueLimits::default());
    let stores = open_stores(&settings, limits, Arc::clone(&clock) as _);
    let Stores { tokens, .. } = stores.unwrap_or_else(|error| panic!("{error}"));
    let reservation = lease(&*tokens, TokenId([1; 16]), "alias").await;
    let faults = Arc::<StoreFaults>::default();
    let store = Arc::new(FaultyStore::new(tokens, Arc::clone(&faults)));
    let asked = clock.moment();
    let lease = LeaseHandle::new(store, &reservation, Arc::clone(&clock) as _, asked);
    let _renewal = LeaseRenewal::start(&lease).unwrap();
    faults.away.store(true, SeqCst);
    let pass = async |time| {
        clock.advance(time);
        tokio::time::sleep(time).await;
    };
    pass(lease_duration() / 2).await;
    assert!(!lease.is_over());
    pass(lease_duration() / 2).await;
    assert!(lease.is_over());
}
