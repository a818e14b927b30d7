//! A receiver of callbacks on a real socket.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use asset_gateway::http::server::{Peer, Server, ServerSettings};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::api::until;

/// An attempt to deliver a callback, as it was received.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The first is 1.
    pub number: usize,
    /// Of the request, without its slash.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body's JSON, `null` where it is none.
    pub event: Value,
    /// The address of the connection's other side.
    pub peer: SocketAddr,
    pub at: Instant,
}

type Reply = Arc<dyn Fn(Attempt) -> BoxFuture<'static, Response> + Send + Sync>;

/// Answers as it is told to, and keeps what it receives.
#[derive(Clone)]
pub struct CallbackReceiver {
    pub address: SocketAddr,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    running: Arc<AtomicUsize>,
    /// The most attempts that were under way together.
    pub most_running: Arc<AtomicUsize>,
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
            attempts: Arc::default(),
            running: Arc::default(),
            most_running: Arc::default(),
            reply: Arc::new(Mutex::new(status(204))),
        };
        let this = receiver.clone();
        let receive = |Extension(Peer(peer)), uri: Uri, headers: HeaderMap, body: Bytes| async move {
            this.receive(peer, uri, headers, body).await
        };
        let router = Router::new().fallback(receive);
        tokio::spawn(async move {
            let server = Server::new(ServerSettings::default());
            server.run(listener, router, Shutdown::new()).await;
        });
        receiver
    }

    async fn receive(
        self,
        peer: SocketAddr,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let attempt = {
            let mut attempts = self.attempts.lock();
            let number = attempts.len() + 1;
            attempts.push(Attempt {
                number,
                path: uri.path()[1..].to_owned(),
                headers,
                event: serde_json::from_slice(&body).unwrap_or_default(),
                body,
                peer,
                at: Instant::now(),
            });
            attempts.last().cloned().unwrap()
        };
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.most_running.fetch_max(running, SeqCst);
        let reply = self.reply.lock().clone();
        let answer = reply(attempt).await;
        self.running.fetch_sub(1, SeqCst);
        answer
    }

    pub fn url(&self) -> String {
        self.url_of("hook")
    }

    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Answers every later attempt with a status.
    pub fn answer(&self, code: u16) {
        *self.reply.lock() = status(code);
    }

    /// Answers every later attempt by its number.
    pub fn reply<R: IntoResponse, F: Future<Output = R> + Send + 'static>(
        &self,
        reply: impl Fn(usize) -> F + Send + Sync + 'static,
    ) {
        self.reply_to(move |attempt| reply(attempt.number));
    }

    pub fn reply_to<R: IntoResponse, F: Future<Output = R> + Send + 'static>(
        &self,
        reply: impl Fn(Attempt) -> F + Send + Sync + 'static,
    ) {
        *self.reply.lock() = Arc::new(move |attempt| {
            let answer = reply(attempt);
            async move { answer.await.into_response() }.boxed()
        });
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().clone()
    }

    /// Waits until there are `count` attempts, and checks that there are no more.
    pub async fn all(&self, count: usize) -> Vec<Attempt> {
        until("as many callbacks", async || {
            self.attempts.lock().len() >= count
        })
        .await;
        let attempts = self.attempts();
        assert_eq!(attempts.len(), count, "{attempts:?}");
        attempts
    }

    /// The event of each attempt.
    pub fn received(&self) -> Vec<Value> {
        let attempts = self.attempts();
        attempts.into_iter().map(|one| one.event).collect()
    }

    /// Ids of the received events that are `meant`; an event that was received twice counts once.
    pub fn ids(&self, meant: impl Fn(&Value) -> bool) -> BTreeSet<String> {
        let attempts = self.attempts.lock();
        let events = attempts.iter().map(|one| &one.event);
        let ids = events.filter(|event| meant(event));
        ids.map(|event| event["event_id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits for `count` events, sorted by the order of their accesses.
    pub async fn events(&self, count: usize) -> Vec<Value> {
        self.all(count).await;
        let mut events = self.received();
        events.sort_by_key(|event| event["event_id"].as_str().unwrap().to_owned());
        events
    }
}

fn status(code: u16) -> Reply {
    let code = StatusCode::from_u16(code).unwrap();
    Arc::new(move |_| async move { code.into_response() }.boxed())
}
