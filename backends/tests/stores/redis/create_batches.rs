//! A batch of which another node takes one token between its check and its write: nothing of it stays.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, id};
use asset_gateway_backends::token_store::{Method, TokenId, TokenRecord};

use super::support::proxy::{self, Command};
use super::support::server::{Server, fixture, redis_cli};

const FREE: u64 = 1;
const TAKEN: u64 = 2;

fn node_behind_proxy(
    server: &Server,
    before: impl Fn(&Command) + Send + Sync + 'static,
) -> Fixture {
    fixture(proxy::node(server, DEFAULT_LIMITS, before))
}

fn batch(f: &Fixture) -> Vec<(TokenId, TokenRecord)> {
    let record = |n| (id(n), f.record(Method::Get));
    vec![record(FREE), record(TAKEN)]
}

/// As another node does it.
fn take_token(port: u16) {
    let id = id(TAKEN).to_string();
    let key = format!("ag:{{{}}}:t:{id}", &id[..2]);
    redis_cli(
        port,
        &["HSET", &key, "r", "{}", "x", "9999999999", "i", "0"],
    );
}

fn is_write(command: &Command) -> bool {
    command.get(4).is_some_and(|arg| arg == b"write")
}

fn is_deletion(command: &Command) -> bool {
    let free = id(FREE).to_string();
    command.get(4).is_some_and(|arg| *arg == free.as_bytes()) && command.len() == 7
}

/// Waits until the token that was written is deleted.
async fn wait_until_deleted(f: &Fixture) {
    let began = Instant::now();
    while f.stores.tokens.get(id(FREE)).await.unwrap().is_some() {
        assert!(began.elapsed() < Duration::from_secs(5), "not deleted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_undone_later_where_redis_refuses() {
    let server = Server::start();
    let port = server.port();
    let deletions = AtomicUsize::new(0);
    let f = node_behind_proxy(&server, move |command| {
        if is_write(command) {
            take_token(port);
        } else if is_deletion(command) {
            let missing = match deletions.fetch_add(1, Ordering::SeqCst) {
                0 => "1",
                _ => "0",
            };
            redis_cli(port, &["CONFIG", "SET", "min-replicas-to-write", missing]);
        }
    });
    // Loads the script.
    f.stores.tokens.delete(id(3)).await.unwrap();
    let refused = f.stores.tokens.create(batch(&f)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    wait_until_deleted(&f).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_undone_where_its_caller_is_dropped() {
    let server = Server::start();
    let port = server.port();
    let (paused_sender, paused) = mpsc::channel();
    let (resume, resumed) = mpsc::channel::<()>();
    let (deleted_sender, deleted) = mpsc::channel();
    let resumed = Mutex::new(resumed);
    let f = node_behind_proxy(&server, move |command| {
        if is_write(command) {
            take_token(port);
            // The test waits for the first write only. `recv` returns when `resume` is dropped.
            let _ = paused_sender.send(());
            let _ = resumed.lock().unwrap().recv();
        } else if is_deletion(command) {
            let _ = deleted_sender.send(());
        }
    });
    let tokens = f.stores.tokens.clone();
    let batch = batch(&f);
    let caller = tokio::spawn(async move { tokens.create(batch).await });
    let first = move || paused.recv_timeout(Duration::from_secs(5)).unwrap();
    tokio::task::spawn_blocking(first).await.unwrap();
    caller.abort();
    caller.await.unwrap_err();
    drop(resume);
    tokio::task::spawn_blocking(move || deleted.recv_timeout(Duration::from_secs(5)).unwrap())
        .await
        .unwrap();
    wait_until_deleted(&f).await;
}
