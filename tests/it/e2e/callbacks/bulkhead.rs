//! A hundred thousand events for a receiver that never answers, beside events for a healthy one.

use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::callback_queue::{CallbackQueue, Enqueued};
use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::conformance::fixture::event;
use asset_gateway_backends::event::Event;
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::api::until;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

const BACKLOG: usize = 100_000;
/// The contract's limit for the delay of a healthy receiver.
const PROMPT: Duration = Duration::from_secs(1);

/// Accepts connections and never answers.
async fn dead_receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            silent.push(stream);
        }
    });
    url
}

/// Queues the backlog in the store of a gateway that does not run yet.
async fn queue(path: std::path::PathBuf, target: &str) {
    let settings = TokenStoreSettings::Sled(SledSettings { path });
    let limits = QueueLimits::default();
    let stores = open_stores(&settings, limits, Arc::new(SystemClock));
    let Stores { tokens, callbacks } = stores.unwrap_or_else(|error| panic!("{error}"));
    futures_util::stream::iter(0..BACKLOG)
        .map(|number| {
            let callbacks: Arc<dyn CallbackQueue> = Arc::clone(&callbacks);
            let event = Event {
                target: target.to_owned(),
                ..event(&format!("dir/{number}"), 1_760_000_000)
            };
            async move { callbacks.enqueue(event).await.unwrap() }
        })
        .buffer_unordered(2_000)
        .for_each(async |queued| assert_eq!(queued, Enqueued::Queued))
        .await;
    tokens.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_for_one_receiver_does_not_delay_another() {
    // Short, so that attempts time out while the test measures.
    let builder = Gateway::builder().with(json!({"callback": {"timeout_seconds": 3}}));
    queue(builder.folder().join("tokens"), &dead_receiver().await).await;
    let gateway = builder.start();
    let pending = gateway.scrape().await;
    assert!(pending.contains("queue_pending 1000"), "{pending}");

    let receiver = CallbackReceiver::start().await;
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(8) {
        let token = gateway.token("PUT", "k").callback(receiver.url()).await;
        assert_eq!(gateway.put(&token, "bytes").await.status, 200);
        let asked = Instant::now();
        count += 1;
        until("the healthy receiver's event", async || {
            receiver.attempts().len() >= count
        })
        .await;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{count} events beside the backlog, the slowest after {slowest:?}");
    assert!(slowest < PROMPT, "{slowest:?} of {count}");
    assert_eq!(receiver.attempts().len(), count);
}
