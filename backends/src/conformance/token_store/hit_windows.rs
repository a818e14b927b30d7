//! `hit_window`: requests of a client ride on its counted hit.

use std::net::IpAddr;

use crate::conformance::fixture::*;
use crate::settings::QueueLimits;
use crate::token_store::{Access, Method, Refusal, Reservation, ReserveRequest, TokenRecord};

pub const LIMITS: QueueLimits = DEFAULT_LIMITS;

fn record(f: &Fixture, max_hits: u64) -> TokenRecord {
    let mut record = f.limited(Method::Get, max_hits);
    record.hit_window_seconds = Some(2);
    record
}

fn by(n: u8) -> ReserveRequest<'static> {
    ReserveRequest {
        caller: caller(n),
        ..request(Access::Get)
    }
}

async fn admit(f: &Fixture, client: u8) -> Reservation {
    f.admit_with(id(1), &by(client)).await
}

pub async fn the_same_client_rides_and_another_is_counted(f: Fixture) {
    f.create(id(1), record(&f, 2)).await;
    for client in [1, 1, 1, 2, 1, 2, 2] {
        admit(&f, client).await;
    }
    assert_eq!(f.used(id(1)).await, 2);
    let refusal = f.refusal_with(id(1), &by(3)).await;
    assert_eq!(refusal, Refusal::HitsExceeded);
    // A refusal opens no window.
    let refusal = f.refusal_with(id(1), &by(3)).await;
    assert_eq!(refusal, Refusal::HitsExceeded);
}

pub async fn a_window_runs_from_the_counted_hit(f: Fixture) {
    f.create(id(1), record(&f, 2)).await;
    admit(&f, 1).await;
    f.advance(ms(1200)).await;
    admit(&f, 1).await;
    assert_eq!(f.used(id(1)).await, 1);
    f.advance(ms(1000)).await;
    admit(&f, 1).await;
    assert_eq!(f.used(id(1)).await, 2);
    f.advance(ms(2100)).await;
    let refusal = f.refusal_with(id(1), &by(1)).await;
    assert_eq!(refusal, Refusal::HitsExceeded);
}

pub async fn an_unlimited_token_has_windows_too(f: Fixture) {
    let mut record = record(&f, 1);
    record.max_hits = None;
    f.create(id(1), record).await;
    for client in [1, 1, 2, 2, 1] {
        admit(&f, client).await;
    }
    assert_eq!(f.used(id(1)).await, 2);
}

pub async fn a_release_ends_the_window_of_its_hit(f: Fixture) {
    f.create(id(1), record(&f, 1)).await;
    let counted = admit(&f, 1).await;
    f.stores.tokens.release(counted, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 0);
    admit(&f, 2).await;
    let refusal = f.refusal_with(id(1), &by(1)).await;
    assert_eq!(refusal, Refusal::HitsExceeded);
}

/// Otherwise a request that delivers nothing would let its client in without a hit.
pub async fn a_hit_with_a_ride_is_not_released(f: Fixture) {
    f.create(id(1), record(&f, 1)).await;
    let counted = admit(&f, 1).await;
    admit(&f, 1).await;
    f.stores.tokens.release(counted, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 1);
    admit(&f, 1).await;
    let refusal = f.refusal_with(id(1), &by(2)).await;
    assert_eq!(refusal, Refusal::HitsExceeded);
}

pub async fn releasing_a_ride_has_no_effect(f: Fixture) {
    f.create(id(1), record(&f, 1)).await;
    admit(&f, 1).await;
    let ride = admit(&f, 1).await;
    assert!(!ride.wants_commit());
    f.stores.tokens.release(ride, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 1);
    admit(&f, 1).await;
    assert_eq!(f.used(id(1)).await, 1);
}

pub async fn a_late_release_keeps_the_next_window(f: Fixture) {
    f.create(id(1), record(&f, 2)).await;
    let first = admit(&f, 1).await;
    f.advance(ms(2100)).await;
    admit(&f, 1).await;
    f.stores.tokens.release(first, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 1);
    admit(&f, 1).await;
    assert_eq!(f.used(id(1)).await, 1);
}

/// The window has expired, and other windows have opened since.
pub async fn a_hit_with_a_past_ride_is_not_released(f: Fixture) {
    f.create(id(1), record(&f, 3)).await;
    let counted = admit(&f, 1).await;
    admit(&f, 1).await;
    f.advance(ms(2100)).await;
    let other = admit(&f, 2).await;
    admit(&f, 1).await;
    f.stores.tokens.release(counted, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 3);
    f.stores.tokens.release(other, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 2);
}

pub async fn windows_of_many_clients_open_and_expire(f: Fixture) {
    f.create(id(1), record(&f, 1000)).await;
    for client in 0..50 {
        admit(&f, client).await;
    }
    f.advance(ms(2100)).await;
    for client in 0..50 {
        admit(&f, client).await;
        admit(&f, client).await;
    }
    assert_eq!(f.used(id(1)).await, 100);
}

/// The 65th client of a token gets no window, and the other clients keep theirs.
pub async fn a_client_without_a_window_is_counted_each_time(f: Fixture) {
    let mut record = record(&f, 68);
    record.hit_window_seconds = Some(60);
    f.create(id(1), record).await;
    for client in 0..64 {
        admit(&f, client).await;
    }
    assert_eq!(f.used(id(1)).await, 64);
    let one_more = admit(&f, 64).await;
    admit(&f, 64).await;
    assert_eq!(f.used(id(1)).await, 66, "let in for nothing");
    // Clients with a window ride on.
    for client in 0..64 {
        admit(&f, client).await;
    }
    assert_eq!(f.used(id(1)).await, 66);
    f.stores.tokens.release(one_more, 0, None).await.unwrap();
    assert_eq!(f.used(id(1)).await, 65);
    for client in 65..68 {
        admit(&f, client).await;
    }
    let refusal = f.refusal_with(id(1), &by(68)).await;
    assert_eq!(refusal, Refusal::HitsExceeded);
    admit(&f, 0).await;
    assert_eq!(f.used(id(1)).await, 68);
}

pub async fn expired_windows_make_room(f: Fixture) {
    f.create(id(1), record(&f, 1000)).await;
    for client in 0..64 {
        admit(&f, client).await;
    }
    f.advance(ms(2100)).await;
    for client in 64..128 {
        admit(&f, client).await;
    }
    admit(&f, 64).await;
    admit(&f, 127).await;
    assert_eq!(f.used(id(1)).await, 128);
}

/// One address with many user agents gets a few windows only.
pub async fn one_address_leaves_windows_for_others(f: Fixture) {
    let mut record = record(&f, 1000);
    record.hit_window_seconds = Some(60);
    f.create(id(1), record).await;
    let agents: Vec<String> = (0..100).map(|n| format!("made up {n}")).collect();
    for (n, agent) in agents.iter().enumerate() {
        let mut made_up = by(1);
        made_up.caller.user_agent = agent;
        made_up.caller.client_ip =
            IpAddr::from(((0x2001_0db8_0000_0001_u128 << 64) | n as u128).to_be_bytes()).into();
        f.admit_with(id(1), &made_up).await;
    }
    assert_eq!(f.used(id(1)).await, 100);
    // Only a few of them ride.
    for agent in &agents {
        let mut made_up = by(1);
        made_up.caller.user_agent = agent;
        made_up.caller.client_ip =
            IpAddr::from((0x2001_0db8_0000_0001_u128 << 64).to_be_bytes()).into();
        f.admit_with(id(1), &made_up).await;
    }
    assert_eq!(f.used(id(1)).await, 192);
    for client in 2..50 {
        admit(&f, client).await;
        admit(&f, client).await;
    }
    assert_eq!(f.used(id(1)).await, 240);
}
