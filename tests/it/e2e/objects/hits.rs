//! Limits on hits, and hit windows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::gateway::Gateway;

#[tokio::test]
async fn of_200_concurrent_downloads_ten_are_admitted() {
    let gateway = Gateway::start();
    gateway.place("k", vec![7; 100_000]);
    let token = gateway.token("GET", "k").max_hits(10).await;
    let answers = join_all((0..200).map(|_| gateway.get(&token))).await;
    let mut statuses = BTreeMap::<u16, usize>::new();
    for answer in &answers {
        *statuses.entry(answer.status).or_default() += 1;
        match answer.status {
            200 => assert_eq!(answer.body.len(), 100_000),
            _ => drop(answer.assert_error(409, "hits_exceeded").clone()),
        }
    }
    assert_eq!(statuses, BTreeMap::from([(200, 10), (409, 190)]));
    assert_eq!(gateway.used_hits(&token).await, 10);
}

#[tokio::test]
async fn of_20_concurrent_uploads_three_are_admitted() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").max_hits(3).await;
    let answers = join_all((0..20).map(|_| gateway.put(&token, vec![7; 10_000]))).await;
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 409).count();
    // All three hits are used in the end.
    assert_eq!((stored, refused), (3, 17));
    assert_eq!(gateway.used_hits(&token).await, 3);
}

#[tokio::test]
async fn head_never_counts() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    for method in ["GET", "HEAD", "PUT"] {
        let token = gateway.token(method, "k").max_hits(1).await;
        for _ in 0..3 {
            let head = gateway.head(&token).await;
            assert_eq!(
                (head.status, head.header("content-length")),
                (200, Some("5"))
            );
        }
        assert_eq!(gateway.used_hits(&token).await, 0, "{method}");
    }
}

#[tokio::test]
async fn hits_of_an_unlimited_token_are_seen_within_a_second() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").await;
    for _ in 0..7 {
        assert_eq!(gateway.get(&token).await.status, 200);
    }
    let began = Instant::now();
    until("seven hits", async || gateway.used_hits(&token).await == 7).await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_answer_without_content_frees_its_hit() {
    let gateway = Gateway::start();
    let token = gateway.token("GET", "absent").max_hits(1).await;
    for _ in 0..3 {
        gateway
            .get(&token)
            .await
            .assert_error(404, "object_not_found");
    }
    assert_eq!(gateway.head(&token).await.status, 404);
    gateway.place("absent", "now");
    assert_eq!(gateway.get(&token).await.body, "now");
    gateway.get(&token).await.assert_error(409, "hits_exceeded");
}

#[tokio::test]
async fn a_window_counts_one_hit_for_a_clients_requests() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let fields = json!({"max_hits": 2, "hit_window": 3600});
    let token = gateway.token("GET", "k").with(fields).await;
    let get = async |agent: &str, range: &str| {
        let request = gateway.object("GET", &token).header("user-agent", agent);
        answer(request.header("range", range)).await
    };
    for start in 0..5 {
        assert_eq!(
            get("player/1", &format!("bytes={start}-")).await.status,
            206
        );
    }
    assert_eq!(gateway.used_hits(&token).await, 1);
    assert_eq!(get("player/2", "bytes=0-").await.status, 206);
    assert_eq!(gateway.used_hits(&token).await, 2);
    get("player/3", "bytes=0-")
        .await
        .assert_error(409, "hits_exceeded");
    // Clients with an open window are still served.
    assert_eq!(get("player/1", "bytes=9-").await.status, 206);
    assert_eq!(gateway.used_hits(&token).await, 2);
}

#[tokio::test]
async fn a_window_opens_once_for_concurrent_requests() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let fields = json!({"max_hits": 1, "hit_window": 3600});
    let token = gateway.token("GET", "k").with(fields).await;
    let answers = join_all((0..100).map(|_| gateway.get(&token))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(gateway.used_hits(&token).await, 1);
}

#[tokio::test]
async fn a_window_ends() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").set("hit_window", 1).await;
    gateway.get(&token).await;
    until("a second hit", async || {
        gateway.get(&token).await;
        gateway.used_hits(&token).await >= 2
    })
    .await;
}

#[tokio::test]
async fn a_window_does_not_open_without_a_delivery() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let fields = json!({"max_hits": 1, "hit_window": 3600});
    let token = gateway.token("GET", "k").with(fields).await;
    let outside = gateway.object("GET", &token).header("range", "bytes=99-");
    answer(outside)
        .await
        .assert_error(416, "range_not_satisfiable");
    assert_eq!(gateway.used_hits(&token).await, 0);
    let other = gateway.object("GET", &token).header("user-agent", "other");
    assert_eq!(answer(other).await.status, 200);
    // The other client used the hit.
    gateway.get(&token).await.assert_error(409, "hits_exceeded");
}

/// Clients with their own addresses behind a proxy.
async fn behind_proxy(gateway: &Gateway, token: &str, address: &str, agent: &str) {
    let request = gateway.object("GET", token).header("user-agent", agent);
    let answer = answer(request.header("x-forwarded-for", address)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_client_beyond_the_window_limit_is_counted_each_time() {
    let server = json!({"listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1/32"]});
    let gateway = Gateway::with(json!({"server": server}));
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").set("hit_window", 3600).await;
    for _ in 0..2 {
        for n in 0..66 {
            behind_proxy(&gateway, &token, &format!("192.0.2.{n}"), "a").await;
        }
    }
    assert_eq!(gateway.used_hits(&token).await, 66 + 2);
}

#[tokio::test]
async fn made_up_user_agents_leave_windows_for_other_addresses() {
    let server = json!({"listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1/32"]});
    let gateway = Gateway::with(json!({"server": server}));
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").set("hit_window", 3600).await;
    for n in 0..100 {
        let address = format!("2001:db8::{n:x}");
        behind_proxy(&gateway, &token, &address, &format!("made up {n}")).await;
    }
    assert_eq!(gateway.used_hits(&token).await, 100);
    for n in 0..100 {
        behind_proxy(&gateway, &token, "2001:db8::", &format!("made up {n}")).await;
    }
    // Eight have a window.
    assert_eq!(gateway.used_hits(&token).await, 192);
    for _ in 0..2 {
        behind_proxy(&gateway, &token, "192.0.2.1", "another").await;
    }
    assert_eq!(gateway.used_hits(&token).await, 193);
}
