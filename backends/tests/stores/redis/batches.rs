//! A batch of tokens of which one is taken by somebody else after the batch has looked: nothing of
//! it stays.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use asset_gateway_backends::ErrorKind;
use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, Fixture, Time, id};
use asset_gateway_backends::token_store::{Method, TokenId, TokenRecord};

use super::gate::{self, Words};
use super::server::{Server, ask};

const FREE: u64 = 1;
const TAKEN: u64 = 2;

fn behind(server: &Server, before: impl Fn(&Words) + Send + Sync + 'static) -> Fixture {
    Fixture {
        stores: gate::node(server, DEFAULT_LIMITS, before),
        time: Time::Real,
        guard: Box::new(()),
    }
}

fn batch(f: &Fixture) -> Vec<(TokenId, TokenRecord)> {
    let record = |n| (id(n), f.record(Method::Get));
    vec![record(FREE), record(TAKEN)]
}

/// Somebody else takes the token.
fn take(port: u16) {
    let id = id(TAKEN).to_string();
    let key = format!("ag:{{{}}}:t:{id}", &id[..2]);
    ask(
        port,
        &["HSET", &key, "r", "{}", "x", "9999999999", "i", "0"],
    );
}

fn writes(command: &Words) -> bool {
    command.get(4).is_some_and(|word| word == b"write")
}

fn deletes(command: &Words) -> bool {
    let free = id(FREE).to_string();
    command.get(4).is_some_and(|word| *word == free.as_bytes()) && command.len() == 7
}

/// Waits until what was written is deleted.
async fn gone(f: &Fixture) {
    let began = Instant::now();
    while f.stores.tokens.get(id(FREE)).await.unwrap().is_some() {
        assert!(began.elapsed() < Duration::from_secs(5), "it stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What was written cannot be deleted at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undone_later_where_redis_refuses() {
    let server = Server::start();
    let port = server.port();
    let deletions = AtomicUsize::new(0);
    let f = behind(&server, move |command| {
        if writes(command) {
            take(port);
        } else if deletes(command) {
            let missing = match deletions.fetch_add(1, Ordering::SeqCst) {
                0 => "1",
                _ => "0",
            };
            ask(port, &["CONFIG", "SET", "min-replicas-to-write", missing]);
        }
    });
    // Redis knows the script from here on.
    f.stores.tokens.delete(id(3)).await.unwrap();
    let refused = f.stores.tokens.create(batch(&f)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    gone(&f).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undone_though_the_caller_goes_away() {
    let server = Server::start();
    let port = server.port();
    let (held, is_held) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (deletes_it, deleted) = mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let f = behind(&server, move |command| {
        if writes(command) {
            take(port);
            // Only the first is waited for; and until the other sender is gone.
            let _ = held.send(());
            let _ = goes_on.lock().unwrap().recv();
        } else if deletes(command) {
            let _ = deletes_it.send(());
        }
    });
    let tokens = f.stores.tokens.clone();
    let batch = batch(&f);
    let caller = tokio::spawn(async move { tokens.create(batch).await });
    let first = move || is_held.recv_timeout(Duration::from_secs(5)).unwrap();
    tokio::task::spawn_blocking(first).await.unwrap();
    caller.abort();
    caller.await.unwrap_err();
    drop(go_on);
    tokio::task::spawn_blocking(move || deleted.recv_timeout(Duration::from_secs(5)).unwrap())
        .await
        .unwrap();
    gone(&f).await;
}
