//! What a kill leaves behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::world::{Disk, Memory, World};
use crate::caller::Caller;
use crate::conformance::fixture::{CALLER, attempt, event, report};
use crate::event::Outcome;
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, Created, HitOn, Intent, LeaseState, Method, Reservation, ReserveRequest, Reserved,
    TokenId, TokenRecord,
};

const LEASE: Duration = Duration::from_secs(60);

fn id(n: u8) -> TokenId {
    TokenId([n; 16])
}

fn world(disk: impl Disk + 'static, report_incomplete: bool) -> World {
    let limits = QueueLimits {
        max_pending: 100,
        report_incomplete,
        keep_dead: None,
    };
    World::new(disk, limits)
}

async fn create(world: &World, n: u8, method: Method, hit_on: HitOn) {
    let mut record = TokenRecord::new("bucket", "key", method, 0, u64::MAX / 2);
    record.max_hits = Some(1);
    record.hit_on = hit_on;
    record.callback = Some("https://back.example.com/".into());
    let created = world.store.create(vec![(id(n), record)]).await.unwrap();
    assert_eq!(created, Created::Done);
}

async fn admit(world: &World, n: u8, access: Access) -> Reservation {
    let request = ReserveRequest {
        access,
        declared_size: None,
        rules_checked: None,
        lease: LEASE,
        caller: CALLER,
    };
    match world.store.reserve(id(n), &request).await.unwrap() {
        Reserved::Admitted { reservation, .. } => reservation,
        other @ (Reserved::CheckRules { .. } | Reserved::Refused(_)) => panic!("{other:?}"),
    }
}

async fn used(world: &World, n: u8) -> u64 {
    world.store.get(id(n)).await.unwrap().unwrap().used_hits
}

async fn finalise(world: &World, reservation: &Reservation) {
    let intent = Intent {
        size: 1,
        caller: Caller::default(),
        at_ms: 7,
    };
    let lease = world.store.finalise(reservation, intent, LEASE).await;
    assert_eq!(lease.unwrap(), LeaseState::Held);
}

/// Runs `case` in memory and on disk.
fn on_each(case: impl AsyncFn(World), report_incomplete: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(case(world(Memory::default(), report_incomplete)));
    #[cfg(feature = "sled")]
    runtime.block_on(case(world(
        super::world::Files::default(),
        report_incomplete,
    )));
}

/// The lease ran for another minute, but its holder is dead.
#[test]
fn leases_end_with_their_process() {
    let case = async |mut world: World| {
        create(&world, 1, Method::Put, HitOn::Start).await;
        create(&world, 2, Method::Get, HitOn::Complete).await;
        admit(&world, 1, Access::Put).await;
        admit(&world, 2, Access::Get).await;
        world.crash();
        admit(&world, 1, Access::Put).await;
        admit(&world, 2, Access::Get).await;
    };
    on_each(case, false);
}

#[test]
fn a_counted_hit_stays_counted_and_given_back() {
    let case = async |mut world: World| {
        create(&world, 1, Method::Get, HitOn::Start).await;
        create(&world, 2, Method::Get, HitOn::Start).await;
        admit(&world, 1, Access::Get).await;
        let given_back = admit(&world, 2, Access::Get).await;
        world.store.release(given_back, 0, None).await.unwrap();
        world.crash();
        assert_eq!((used(&world, 1).await, used(&world, 2).await), (1, 0));
        world.store.sweep(LEASE).await.unwrap();
        assert_eq!((used(&world, 1).await, used(&world, 2).await), (1, 0));
    };
    on_each(case, false);
}

#[test]
fn an_upload_left_finalising_is_settled_once() {
    let case = async |mut world: World| {
        create(&world, 1, Method::Put, HitOn::Start).await;
        let upload = admit(&world, 1, Access::Put).await;
        finalise(&world, &upload).await;
        world.crash();
        let mut unsettled = world.store.sweep(LEASE).await.unwrap();
        assert_eq!(unsettled.len(), 1);
        assert!(world.store.sweep(LEASE).await.unwrap().is_empty());
        let unsettled = unsettled.remove(0);
        assert_eq!(unsettled.reservation.marker(), upload.marker());
        assert_eq!(unsettled.intent.at_ms, 7);
        let lease = world
            .store
            .commit(unsettled.reservation, report(Outcome::Complete))
            .await;
        assert_eq!(lease.unwrap(), LeaseState::Held);
        world.crash();
        assert!(world.store.sweep(LEASE).await.unwrap().is_empty());
        assert_eq!(used(&world, 1).await, 1);
        assert_eq!(world.store.claim(9, LEASE).await.unwrap().len(), 1);
    };
    on_each(case, false);
}

#[test]
fn downloads_of_the_dead_are_interrupted() {
    for report_incomplete in [false, true] {
        let case = async |mut world: World| {
            create(&world, 1, Method::Get, HitOn::Start).await;
            admit(&world, 1, Access::Get).await;
            world.crash();
            for _ in 0..2 {
                world.store.sweep(LEASE).await.unwrap();
            }
            let claimed = world.store.claim(9, LEASE).await.unwrap();
            let outcomes: Vec<_> = claimed.iter().map(|c| c.event.report.outcome).collect();
            let expected = [Outcome::Interrupted];
            assert_eq!(outcomes, expected[..usize::from(report_incomplete)]);
        };
        on_each(case, report_incomplete);
    }
}

#[test]
fn the_queue_is_as_it_was_but_for_claims() {
    let case = async |mut world: World| {
        let events = ["acked", "retried", "buried", "claimed", "waiting"].map(|key| event(key, 7));
        for event in &events {
            world.store.enqueue(event.clone()).await.unwrap();
            world.advance(1);
        }
        world.store.claim(4, LEASE).await.unwrap();
        let attempt = attempt("timeout", 7);
        world.store.ack(&events[0].id).await.unwrap();
        world
            .store
            .retry(&events[1].id, attempt.clone(), 8)
            .await
            .unwrap();
        world
            .store
            .dead_letter(&events[2].id, attempt.clone())
            .await
            .unwrap();
        world.crash();
        let stats = world.store.stats().await.unwrap();
        assert_eq!((stats.pending, stats.dead), (3, 1));
        let claimed = world.store.claim(9, LEASE).await.unwrap();
        let keys: Vec<_> = claimed.iter().map(|c| c.event.key.as_str()).collect();
        assert_eq!(keys, ["retried", "claimed", "waiting"]);
        assert_eq!(claimed[0].attempts, [attempt]);
    };
    on_each(case, false);
}

#[test]
fn flushed_hits_without_a_limit_last() {
    let case = async |mut world: World| {
        let record = TokenRecord::new("bucket", "key", Method::Get, 0, u64::MAX / 2);
        world.store.create(vec![(id(1), record)]).await.unwrap();
        admit(&world, 1, Access::Get).await;
        admit(&world, 1, Access::Get).await;
        world.store.flush_usage().await.unwrap();
        world.crash();
        assert_eq!(used(&world, 1).await, 2);
        admit(&world, 1, Access::Get).await;
        world.store.close().await.unwrap();
        world.crash();
        assert_eq!(used(&world, 1).await, 3);
    };
    on_each(case, false);
}

#[tokio::test]
async fn a_claim_that_could_not_be_made_durable_is_nobodys() {
    let disk = Memory::default();
    let broken = Arc::clone(&disk.broken);
    let world = World::new(disk, QueueLimits::default());
    world.store.enqueue(event("k", 7)).await.unwrap();
    broken.store(true, Ordering::SeqCst);
    assert!(world.store.claim(9, LEASE).await.is_err());
    broken.store(false, Ordering::SeqCst);
    assert_eq!(world.store.claim(9, LEASE).await.unwrap().len(), 1);
}
