//! The number of stored hit windows is bounded, and expired ones are removed.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::super::EmbeddedStore;
use super::super::keys;
use super::super::kv::Kv;
use super::super::kv::memory::MemoryKv;
use crate::clock::TestClock;
use crate::conformance::fixture::{id, request};
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, MAX_RIDDEN_WINDOWS, MAX_WINDOWS_PER_TOKEN, Method, Reserved, TokenRecord, TokenStore,
};

const CREATED: u64 = 1_780_000_000;

#[tokio::test]
async fn any_number_of_clients_leaves_a_bounded_number_of_windows() {
    let clock = TestClock::at(CREATED * 1000);
    let limits = QueueLimits::default();
    let store = EmbeddedStore::new(MemoryKv::default(), Arc::new(clock.clone()), limits).unwrap();
    let mut record = TokenRecord::new("bucket", "k", Method::Get, CREATED, CREATED + 36_000);
    record.hit_window_seconds = Some(1);
    store.create(vec![(id(1), record)]).await.unwrap();
    let stored = || store.0.kv.count(&keys::windows(id(1))).unwrap();
    let access = async |client: u32| {
        let mut request = request(Access::Get);
        request.caller.client_ip = IpAddr::from(Ipv4Addr::from(client)).into();
        let reserved = store.reserve(id(1), &request).await.unwrap();
        assert!(matches!(reserved, Reserved::Admitted { .. }));
    };
    for round in 0..20 {
        for client in 0..80 {
            // A counted hit and a ride on it.
            access(round * 100 + client).await;
            access(round * 100 + client).await;
            assert!(
                stored() <= (2 * MAX_WINDOWS_PER_TOKEN + MAX_RIDDEN_WINDOWS) as u64,
                "{}",
                stored()
            );
        }
        clock.advance(Duration::from_secs(1));
    }
    assert!(stored() >= MAX_RIDDEN_WINDOWS as u64, "{}", stored());
    clock.advance(Duration::from_secs(600));
    access(1).await;
    assert_eq!(stored(), 1);
}
