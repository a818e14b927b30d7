//! Callbacks from a queue in memory to receivers on real sockets.

mod queue;
mod receiver;

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Once};
use std::time::Duration;

use asset_gateway::callbacks::{CallbackSettings, CircuitBreaker, Deliverer, Worker};
use asset_gateway::shutdown::Shutdown;
use asset_gateway_backends::callback_queue::CallbackQueue;
use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::conformance::fixture::event;
use asset_gateway_backends::event::{Event, EventId};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use queue::MemoryQueue;
use receiver::Receiver;

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

    /// With so many tries at the same time.
    fn with(concurrency: usize, settings: CallbackSettings) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider()
                .install_default()
                .unwrap();
        });
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

    /// The errors of all tries of an event that is given up.
    async fn errors(&self, id: &EventId) -> Vec<String> {
        self.queue
            .until(|queue| queue.dead.lock().contains_key(id.as_str()))
            .await;
        let dead = self.queue.dead.lock();
        let tries = dead[id.as_str()].iter();
        tries.map(|attempt| attempt.error.clone()).collect()
    }
}

#[tokio::test]
async fn tries_that_panic_do_not_use_up_the_hosts_share() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    running.queue.panics.store(4, SeqCst);
    for _ in 0..5 {
        running.enqueue(receiver.url("200")).await;
    }
    running.delivered(1).await;
}

#[tokio::test]
async fn an_event_is_posted_once_and_removed() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    let id = running.enqueue(receiver.url("200")).await;
    running.delivered(1).await;
    let requests = receiver.received.requests.lock().clone();
    let [(headers, body)] = requests.as_slice() else {
        panic!("one request");
    };
    assert_eq!(headers["webhook-id"], id.as_str());
    assert_eq!(headers["content-type"], "application/json");
    let agent = concat!("AssetGateway/", env!("CARGO_PKG_VERSION"));
    assert_eq!(headers["user-agent"], agent);
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["event"], "asset.access");
    assert_eq!(body["event_id"], id.as_str());
    assert!(running.queue.rows.lock().is_empty());
}

#[tokio::test]
async fn a_failure_is_tried_again_with_the_same_id() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    let id = running.enqueue(receiver.url("shaky")).await;
    running.delivered(1).await;
    let requests = receiver.received.requests.lock();
    assert_eq!(requests.len(), 3);
    assert!(
        requests
            .iter()
            .all(|(headers, _)| headers["webhook-id"] == id.as_str())
    );
}

#[tokio::test]
async fn what_fails_to_the_end_of_the_schedule_is_dead() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    let id = running.enqueue(receiver.url("500")).await;
    assert_eq!(running.errors(&id).await, ["status_500"; 3]);
}

#[tokio::test]
async fn gone_is_dead_at_once() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    let id = running.enqueue(receiver.url("410")).await;
    assert_eq!(running.errors(&id).await, ["status_410"]);
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    let id = running.enqueue(receiver.url("moved")).await;
    assert_eq!(running.errors(&id).await, ["status_302"; 3]);
    assert_eq!(receiver.count(), 3);
}

#[tokio::test]
async fn failures_have_stable_words() {
    let running = Running::start(CallbackSettings {
        retry: Vec::new(),
        ..settings()
    });
    let receiver = Receiver::start().await;

    // Accepts and closes.
    let dropping = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dropping_at = dropping.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok(accepted) = dropping.accept().await {
            drop(accepted)
        }
    });
    // Nobody listens there any more.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_at = closed.local_addr().unwrap();
    drop(closed);

    for (target, word) in [
        (receiver.url("stuck"), "timeout"),
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
async fn an_answer_counts_by_its_head() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    let began = Instant::now();
    for how in ["huge", "stalled"] {
        running.enqueue(receiver.url(how)).await;
    }
    running.delivered(2).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn retry_after_is_a_lower_bound() {
    let (receiver, running) = (Receiver::start().await, Running::start(settings()));
    let before_ms = SystemClock.now_ms();
    let id = running.enqueue(receiver.url("later")).await;
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
    let (dead, alive) = (Receiver::start().await, Receiver::start().await);
    for _ in 0..100 {
        running.enqueue(dead.url("stuck")).await;
    }
    dead_is_busy(&dead, 2).await;
    for _ in 0..100 {
        running.enqueue(alive.url("200")).await;
    }
    running.delivered(100).await;
    assert_eq!(dead.count(), 2, "a quarter of the tries");
    let rows = running.queue.rows.lock();
    assert!(rows.values().all(|row| row.attempts.is_empty()));
}

async fn dead_is_busy(dead: &Receiver, tries: usize) {
    let busy = async {
        while dead.count() < tries {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, busy).await.unwrap();
}

#[tokio::test]
async fn a_burst_for_one_fast_receiver_stays_within_the_limit_and_is_not_put_back() {
    let receiver = Receiver::start().await;
    let running = Running::start(settings());
    running.enqueue(receiver.url("200")).await;
    running.delivered(1).await;
    for _ in 0..200 {
        running.enqueue(receiver.url("200")).await;
    }
    running.delivered(201).await;
    assert_eq!(receiver.count(), 201);
    assert!(receiver.received.most.load(SeqCst) <= 3);
    assert_eq!(running.queue.release_claim.load(SeqCst), 0);
}

#[tokio::test]
async fn shutdown_lets_running_tries_end_and_gives_the_rest_back() {
    let receiver = Receiver::start().await;
    let running = Running::start(CallbackSettings {
        timeout: Duration::from_secs(5),
        ..settings()
    });
    for _ in 0..6 {
        running.enqueue(receiver.url("slow")).await;
    }
    dead_is_busy(&receiver, 1).await;
    running.shutdown.begin();
    timeout(PATIENCE, running.task).await.unwrap().unwrap();
    assert_eq!(running.queue.delivered.lock().len(), receiver.count());
    let rows = running.queue.rows.lock();
    assert_eq!(rows.len(), 6 - receiver.count());
    assert!(rows.values().all(|row| row.claimed_until_ms == 0));
}

#[tokio::test]
async fn a_forced_shutdown_does_not_wait_for_a_try() {
    let receiver = Receiver::start().await;
    let running = Running::start(CallbackSettings {
        timeout: Duration::from_secs(3600),
        ..settings()
    });
    running.enqueue(receiver.url("stuck")).await;
    dead_is_busy(&receiver, 1).await;
    running.shutdown.begin();
    running.shutdown.force();
    timeout(PATIENCE, running.task).await.unwrap().unwrap();
}
