//! A receiver of callbacks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use asset_gateway::http::server::{Server, ServerSettings};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;

use super::api::until;

/// Answers what it is told to, and keeps what it gets.
#[derive(Clone)]
pub struct Hooks {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    status: Arc<AtomicU16>,
}

impl Hooks {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hooks = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            status: Arc::new(AtomicU16::new(204)),
        };
        let this = hooks.clone();
        let router = Router::new().route(
            "/hook",
            post(|headers: HeaderMap, body: Bytes| async move {
                let event = serde_json::from_slice(&body).unwrap();
                this.received.lock().push((headers, event));
                StatusCode::from_u16(this.status.load(Ordering::SeqCst)).unwrap()
            }),
        );
        tokio::spawn(async move {
            let server = Server::new(ServerSettings::default());
            server.run(listener, router, Shutdown::new()).await;
        });
        hooks
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What every later try is answered.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub fn received(&self) -> Vec<(HeaderMap, Value)> {
        self.received.lock().clone()
    }

    /// Waits for `count` events, sorted by the order of their accesses.
    pub async fn events(&self, count: usize) -> Vec<Value> {
        until("as many callbacks", async || {
            self.received.lock().len() >= count
        })
        .await;
        let mut events: Vec<_> = self
            .received()
            .into_iter()
            .map(|(_, event)| event)
            .collect();
        assert_eq!(events.len(), count, "{events:?}");
        events.sort_by_key(|event| event["event_id"].as_str().unwrap().to_owned());
        events
    }
}
