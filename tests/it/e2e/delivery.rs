//! Delivery of callbacks from a queue in memory to receivers on real sockets.

mod queue;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use asset_gateway::callbacks::{CallbackSettings, CircuitBreaker, Deliverer, Worker};
use asset_gateway::shutdown::Shutdown;
use asset_gateway_backends::callback_queue::CallbackQueue;
use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::conformance::fixture::event;
use asset_gateway_backends::event::{Event, EventId};
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use queue::MemoryQueue;

use crate::support::api::{install_crypto, until};
use crate::support::callback_receiver::{Attempt, CallbackReceiver};

const PATIENCE: Duration = Duration::from_secs(10);

fn settings() -> CallbackSettings {
    CallbackSettings {
        timeout: Duration::from_millis(300),
        retry: vec![Duration::from_millis(20); 2],
        ..CallbackSettings::default()
    }
}

struct Running {
    queue: Arc<MemoryQueue>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    fn start(settings: CallbackSettings) -> Self {
        Self::with(4, settings)
    }

    /// With at most `concurrency` attempts at a time.
    fn with(concurrency: usize, settings: CallbackSettings) -> Self {
        install_crypto();
        let queue = Arc::<MemoryQueue>::default();
        let shutdown = Shutdown::new();
        let circuit_breaker = Arc::new(CircuitBreaker::new(
            Arc::clone(&queue) as Arc<dyn CallbackQueue>
        ));
        let deliverer = Deliverer::new(circuit_breaker, Arc::new(SystemClock), settings).unwrap();
        let worker = Worker::new(Arc::new(deliverer), concurrency);
        let task = tokio::spawn(worker.run(shutdown.clone()));
        Self {
            queue,
            shutdown,
            task,
        }
    }

    async fn enqueue(&self, target: String) -> EventId {
        let event = Event {
            target,
            ..event("a.bin", 1_760_000_000)
        };
        let id = event.id.clone();
        self.queue.enqueue(event).await.unwrap();
        id
    }

    async fn delivered(&self, events: usize) {
        self.queue
            .until(|queue| queue.delivered.lock().len() >= events)
            .await;
    }

    /// Waits until the event is a dead letter; returns the errors of its attempts.
    async fn errors(&self, id: &EventId) -> Vec<String> {
        self.queue
            .until(|queue| queue.dead.lock().contains_key(id.as_str()))
            .await;
        let dead = self.queue.dead.lock();
        let tries = dead[id.as_str()].iter();
        tries.map(|attempt| attempt.error.clone()).collect()
    }
}

/// A receiver that answers as the path says.
async fn start_receiver() -> CallbackReceiver {
    let receiver = CallbackReceiver::start().await;
    receiver.reply_to(answer_by_path);
    receiver
}

async fn answer_by_path(attempt: Attempt) -> Response {
    match attempt.path.as_str() {
        "slow" => {
            tokio::time::sleep(Duration::from_millis(400)).await;
            StatusCode::OK.into_response()
        }
        "stuck" => std::future::pending().await,
        "huge" => {
            let chunk = Bytes::from(vec![b'x'; 1 << 16]);
            let chunks =
                futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Body::from_stream(chunks).into_response()
        }
        "stalled" => {
            let nothing = futures_util::stream::pending::<std::io::Result<Bytes>>();
            Body::from_stream(nothing).into_response()
        }
        "later" => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "3600")]).into_response(),
        "moved" => (StatusCode::FOUND, [("location", "/200")]).into_response(),
        "shaky" if attempt.number < 3 => StatusCode::BAD_GATEWAY.into_response(),
        "shaky" => StatusCode::NO_CONTENT.into_response(),
        status => StatusCode::from_bytes(status.as_bytes())
            .unwrap()
            .into_response(),
    }
}

#[tokio::test]
async fn attempts_that_panic_free_their_hosts_workers() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    running.queue.panics.store(4, SeqCst);
    for _ in 0..5 {
        running.enqueue(receiver.url_of("200")).await;
    }
    running.delivered(1).await;
}

#[tokio::test]
async fn an_event_is_posted_once_and_removed() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    let id = running.enqueue(receiver.url_of("200")).await;
    running.delivered(1).await;
    let Attempt {
        headers,
        event: body,
        ..
    } = receiver.all(1).await.remove(0);
    assert_eq!(headers["webhook-id"], id.as_str());
    assert_eq!(headers["content-type"], "application/json");
    let agent = concat!("AssetGateway/", env!("CARGO_PKG_VERSION"));
    assert_eq!(headers["user-agent"], agent);
    assert_eq!(body["event"], "asset.access");
    assert_eq!(body["event_id"], id.as_str());
    assert!(running.queue.rows.lock().is_empty());
}

#[tokio::test]
async fn a_retry_has_the_same_id() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    let id = running.enqueue(receiver.url_of("shaky")).await;
    running.delivered(1).await;
    for attempt in receiver.all(3).await {
        assert_eq!(attempt.headers["webhook-id"], id.as_str());
    }
}

#[tokio::test]
async fn an_event_is_a_dead_letter_after_the_last_retry() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    let id = running.enqueue(receiver.url_of("500")).await;
    assert_eq!(running.errors(&id).await, ["status_500"; 3]);
}

#[tokio::test]
async fn a_410_makes_a_dead_letter_at_once() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    let id = running.enqueue(receiver.url_of("410")).await;
    assert_eq!(running.errors(&id).await, ["status_410"]);
    assert_eq!(receiver.attempts().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    let id = running.enqueue(receiver.url_of("moved")).await;
    assert_eq!(running.errors(&id).await, ["status_302"; 3]);
    assert_eq!(receiver.attempts().len(), 3);
}

#[tokio::test]
async fn failures_have_stable_error_names() {
    let running = Running::start(CallbackSettings {
        retry: Vec::new(),
        ..settings()
    });
    let receiver = start_receiver().await;

    // Accepts and closes connections.
    let dropping = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dropping_at = dropping.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok(accepted) = dropping.accept().await {
            drop(accepted)
        }
    });
    // The port is closed again.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_at = closed.local_addr().unwrap();
    drop(closed);

    for (target, word) in [
        (receiver.url_of("stuck"), "timeout"),
        (format!("http://{dropping_at}/"), "protocol"),
        (format!("http://{closed_at}/"), "connect"),
        (format!("https://{}/", receiver.address), "tls"),
        ("http://nowhere.invalid/".to_owned(), "dns"),
        ("nonsense".to_owned(), "invalid"),
    ] {
        let id = running.enqueue(target.clone()).await;
        assert_eq!(running.errors(&id).await, [word], "{target}");
    }
}

#[tokio::test]
async fn an_answer_is_judged_by_its_head() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    let began = Instant::now();
    for how in ["huge", "stalled"] {
        running.enqueue(receiver.url_of(how)).await;
    }
    running.delivered(2).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(receiver.attempts().len(), 2);
}

#[tokio::test]
async fn retry_after_is_a_lower_bound() {
    let (receiver, running) = (start_receiver().await, Running::start(settings()));
    let before_ms = SystemClock.now_ms();
    let id = running.enqueue(receiver.url_of("later")).await;
    running
        .queue
        .until(|queue| !queue.row(&id).attempts.is_empty())
        .await;
    let row = running.queue.row(&id);
    assert!(row.due_ms >= before_ms + 3_600_000);
    assert_eq!(row.attempts[0].status, Some(503));
}

#[tokio::test]
async fn a_dead_receiver_does_not_delay_another_one() {
    let settings = CallbackSettings {
        timeout: Duration::from_secs(60),
        ..settings()
    };
    let running = Running::with(8, settings);
    let (dead, alive) = (start_receiver().await, start_receiver().await);
    for _ in 0..100 {
        running.enqueue(dead.url_of("stuck")).await;
    }
    until_busy(&dead, 2).await;
    for _ in 0..100 {
        running.enqueue(alive.url_of("200")).await;
    }
    running.delivered(100).await;
    assert_eq!(dead.attempts().len(), 2, "a quarter of the tries");
    let rows = running.queue.rows.lock();
    assert!(rows.values().all(|row| row.attempts.is_empty()));
}

async fn until_busy(receiver: &CallbackReceiver, attempts: usize) {
    until("the attempts begin", async || {
        receiver.attempts().len() >= attempts
    })
    .await;
}

#[tokio::test]
async fn a_burst_for_a_fast_receiver_stays_within_its_limit() {
    let receiver = start_receiver().await;
    let running = Running::start(settings());
    running.enqueue(receiver.url_of("200")).await;
    running.delivered(1).await;
    for _ in 0..200 {
        running.enqueue(receiver.url_of("200")).await;
    }
    running.delivered(201).await;
    assert_eq!(receiver.attempts().len(), 201);
    assert!(receiver.most_running.load(SeqCst) <= 3);
    assert_eq!(running.queue.release_claim.load(SeqCst), 0);
}

#[tokio::test]
async fn shutdown_finishes_running_attempts_and_releases_other_claims() {
    let receiver = start_receiver().await;
    let running = Running::start(CallbackSettings {
        timeout: Duration::from_secs(5),
        ..settings()
    });
    for _ in 0..6 {
        running.enqueue(receiver.url_of("slow")).await;
    }
    until_busy(&receiver, 1).await;
    running.shutdown.begin();
    timeout(PATIENCE, running.task).await.unwrap().unwrap();
    assert_eq!(
        running.queue.delivered.lock().len(),
        receiver.attempts().len()
    );
    let rows = running.queue.rows.lock();
    assert_eq!(rows.len(), 6 - receiver.attempts().len());
    assert!(rows.values().all(|row| row.claimed_until_ms == 0));
}

#[tokio::test]
async fn a_forced_shutdown_does_not_wait_for_an_attempt() {
    let receiver = start_receiver().await;
    let running = Running::start(CallbackSettings {
        timeout: Duration::from_secs(3600),
        ..settings()
    });
    running.enqueue(receiver.url_of("stuck")).await;
    until_busy(&receiver, 1).await;
    running.shutdown.begin();
    running.shutdown.force();
    timeout(PATIENCE, running.task).await.unwrap().unwrap();
}
