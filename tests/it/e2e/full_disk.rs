//! A full disk below the embedded store: writes are 503 until there is space again, and
//! nothing acknowledged is lost.

mod ledger;

use serde_json::json;

use self::ledger::Ledger;
use crate::support::api::{answer, until};
use crate::support::gateway::Gateway;
use crate::support::small_disk::SmallDisk;

const ROUNDS: u64 = 100;
const OUTAGE: &str =
    "the token store cannot be written: requests that need a write get 503 until it can";

async fn is_ready(gateway: &Gateway) -> bool {
    answer(gateway.plain("GET", "/readyz")).await.status == 200
}

/// Writes until the disk refuses.
async fn until_refused(gateway: &Gateway) {
    until("a write is refused", async || {
        let made = gateway.create(json!({"key": "k", "method": "GET"})).await;
        if made.status == 201 {
            return false;
        }
        made.assert_error(503, "unavailable");
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_while_the_disk_is_full_and_resume() {
    let disk = SmallDisk::new(24);
    let gateway = disk.start();
    gateway.store("k", "text/plain", "content").await;
    let unlimited = gateway.token("GET", "k").await;
    let limited = gateway.token("GET", "k").max_hits(3).await;
    let revoked = gateway.token("GET", "k").await;
    let put = gateway.token("PUT", "up").await;
    assert_eq!(gateway.get(&limited).await.status, 200);
    assert!(is_ready(&gateway).await);

    disk.fill();
    until_refused(&gateway).await;
    let refused = gateway.get(&limited).await;
    refused.assert_error(503, "unavailable");
    assert!(refused.header("retry-after").is_some());
    gateway
        .put(&put, "x")
        .await
        .assert_error(503, "unavailable");
    let custom = json!({"key": "k", "method": "GET", "token": "custom"});
    let refused = gateway.create(custom.clone()).await;
    refused.assert_error(503, "unavailable");
    // Operations without a write still work.
    assert_eq!(gateway.get(&unlimited).await.body, "content");
    assert_eq!(gateway.head(&limited).await.status, 200);
    assert_eq!(gateway.used_hits(&limited).await, 1);
    // A revocation is in force at once; its durability is not certain yet.
    let revoke = gateway.control("DELETE", &format!("/token/{revoked}"));
    answer(revoke).await.assert_error(503, "unavailable");
    gateway
        .get(&revoked)
        .await
        .assert_error(404, "token_not_found");
    until("not ready", async || !is_ready(&gateway).await).await;
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(ready.json()["token_store"], "unavailable");
    // The reason is logged once.
    assert_eq!(gateway.logged(OUTAGE).len(), 1, "{}", gateway.log());
    let reason = gateway.logged(OUTAGE)[0]["exception.message"].to_string();
    assert!(reason.contains("No space left on device"), "{reason}");

    disk.free();
    until("ready again", async || is_ready(&gateway).await).await;
    assert_eq!(gateway.create(custom).await.status, 201);
    assert_eq!(gateway.put(&put, "x").await.status, 200);
    for _ in 0..2 {
        assert_eq!(gateway.get(&limited).await.status, 200);
    }
    gateway
        .get(&limited)
        .await
        .assert_error(409, "hits_exceeded");
    gateway
        .get(&revoked)
        .await
        .assert_error(404, "token_not_found");
    assert_eq!(gateway.logged(OUTAGE).len(), 1, "{}", gateway.log());

    // All changes are on disk.
    gateway.kill();
    let gateway = disk.start();
    gateway
        .get(&limited)
        .await
        .assert_error(409, "hits_exceeded");
    gateway
        .get(&revoked)
        .await
        .assert_error(404, "token_not_found");
    assert_eq!(gateway.get("custom").await.body, "content");
}

/// `/readyz` probes the store: no other request writes here.
#[tokio::test]
async fn readyz_is_503_while_the_disk_is_full() {
    let disk = SmallDisk::new(24);
    let gateway = disk.start();
    assert!(is_ready(&gateway).await);
    disk.fill();
    until("not ready", async || !is_ready(&gateway).await).await;
    disk.free();
    until("ready again", async || is_ready(&gateway).await).await;
}

#[tokio::test]
async fn a_start_on_a_full_disk_names_the_remedy() {
    let disk = SmallDisk::new(24);
    let gateway = disk.start();
    let token = gateway.token("GET", "k").await;
    // Uses up the space that sled has already allocated.
    disk.fill();
    until_refused(&gateway).await;
    gateway.kill();
    let said = disk.refused_start().expect("no room to start in");
    assert!(
        said.contains("the disk has no room for the token store"),
        "{said}"
    );
    assert!(said.contains("free some space"), "{said}");
    assert!(!said.contains("Io("), "{said}");
    disk.free();
    assert_eq!(disk.start().record(&token).await["used_hits"], 0);
}

/// The disk is filled and freed a hundred times, with kills in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_full_disks_lose_nothing_acknowledged() {
    let disk = SmallDisk::new(64);
    let mut gateway = disk.start();
    let mut ledger = Ledger::default();
    gateway.store("k", "text/plain", "content").await;
    for round in 0..ROUNDS {
        ledger.work(&gateway, 1).await;
        disk.fill();
        ledger.work_until_refused(&gateway).await;
        match round % 4 {
            // Killed and started while the disk is full; the start may fail.
            0 => {
                gateway.kill();
                if let Some(said) = disk.refused_start() {
                    assert!(said.contains("no room for the token store"), "{said}");
                }
                disk.free();
                gateway = disk.start();
            }
            // Killed while writes resume, or a moment before or after.
            2 => {
                disk.free();
                tokio::time::sleep(std::time::Duration::from_millis(5 * (round % 80))).await;
                gateway.kill();
                gateway = disk.start();
            }
            _ => disk.free(),
        }
        ledger.until_accepted(&gateway).await;
        ledger.check(&gateway, round).await;
    }
    gateway.kill();
    ledger.check(&disk.start(), ROUNDS).await;
}
