//! A receiver of callbacks.

use std::net::SocketAddr;
use std::sync::Arc;

use asset_gateway::http::server::{Peer, Server, ServerSettings};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::api::until;

/// A try, as it came in.
#[derive(Debug, Clone)]
pub struct Try {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The connection that it came on.
    pub peer: SocketAddr,
    pub at: Instant,
}

/// The answer to the try of this number; the first is 1.
type Reply = Arc<dyn Fn(usize) -> BoxFuture<'static, Response> + Send + Sync>;

/// Answers what it is told to, and keeps what it gets.
#[derive(Clone)]
pub struct CallbackReceiver {
    pub address: SocketAddr,
    tries: Arc<Mutex<Vec<Try>>>,
    reply: Arc<Mutex<Reply>>,
}

impl CallbackReceiver {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            tries: Arc::default(),
            reply: Arc::new(Mutex::new(status(204))),
        };
        let this = receiver.clone();
        let receive = |Extension(Peer(peer)), headers: HeaderMap, body: Bytes| async move {
            let number = {
                let mut tries = this.tries.lock();
                tries.push(Try {
                    headers,
                    body,
                    peer,
                    at: Instant::now(),
                });
                tries.len()
            };
            let reply = this.reply.lock().clone();
            reply(number).await
        };
        let router = Router::new().route("/hook", post(receive));
        tokio::spawn(async move {
            let server = Server::new(ServerSettings::default());
            server.run(listener, router, Shutdown::new()).await;
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What every later try is answered.
    pub fn answer(&self, code: u16) {
        *self.reply.lock() = status(code);
    }

    /// The same, with more than a status.
    pub fn reply<R: IntoResponse, F: Future<Output = R> + Send + 'static>(
        &self,
        reply: impl Fn(usize) -> F + Send + Sync + 'static,
    ) {
        *self.reply.lock() = Arc::new(move |number| {
            let answer = reply(number);
            async move { answer.await.into_response() }.boxed()
        });
    }

    pub fn tries(&self) -> Vec<Try> {
        self.tries.lock().clone()
    }

    /// Waits until there are `count` tries; then there are no more.
    pub async fn all(&self, count: usize) -> Vec<Try> {
        until("as many callbacks", async || {
            self.tries.lock().len() >= count
        })
        .await;
        let tries = self.tries();
        assert_eq!(tries.len(), count, "{tries:?}");
        tries
    }

    /// Headers and event of each try.
    pub fn received(&self) -> Vec<(HeaderMap, Value)> {
        let tries = self.tries().into_iter();
        tries
            .map(|one| (one.headers, serde_json::from_slice(&one.body).unwrap()))
            .collect()
    }

    /// Waits for `count` events, sorted by the order of their accesses.
    pub async fn events(&self, count: usize) -> Vec<Value> {
        self.all(count).await;
        let events = self.received().into_iter();
        let mut events: Vec<_> = events.map(|(_, event)| event).collect();
        events.sort_by_key(|event| event["event_id"].as_str().unwrap().to_owned());
        events
    }
}

fn status(code: u16) -> Reply {
    let code = StatusCode::from_u16(code).unwrap();
    Arc::new(move |_| async move { code.into_response() }.boxed())
}
