//! A receiver on a real socket that answers as the path says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use asset_gateway::http::server::{Server, ServerSettings};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;

#[derive(Default)]
pub(super) struct Received {
    pub(super) requests: Mutex<Vec<(HeaderMap, Bytes)>>,
    running: AtomicUsize,
    pub(super) most: AtomicUsize,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) received: Arc<Received>,
}

async fn receive(
    received: Arc<Received>,
    how: String,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    received.requests.lock().push((headers, body));
    let running = received.running.fetch_add(1, SeqCst) + 1;
    received.most.fetch_max(running, SeqCst);
    let answer = match how.as_str() {
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
        // Fails first.
        "shaky" if received.requests.lock().len() < 3 => StatusCode::BAD_GATEWAY.into_response(),
        "shaky" => StatusCode::NO_CONTENT.into_response(),
        status => StatusCode::from_bytes(status.as_bytes())
            .unwrap()
            .into_response(),
    };
    received.running.fetch_sub(1, SeqCst);
    answer
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let received = Arc::<Received>::default();
        let state = Arc::clone(&received);
        let router = Router::new().route(
            "/{how}",
            post(|Path(how): Path<String>, headers: HeaderMap, body: Bytes| {
                receive(state, how, headers, body)
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let server = Server::new(ServerSettings::default());
            server.run(listener, router, Shutdown::new()).await;
        });
        Self { address, received }
    }

    pub(super) fn url(&self, how: &str) -> String {
        format!("http://{}/{how}", self.address)
    }

    pub(super) fn count(&self) -> usize {
        self.received.requests.lock().len()
    }
}
