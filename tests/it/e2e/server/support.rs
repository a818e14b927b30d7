//! A server with test routes, and a client for raw bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asset_gateway::http::server::{Peer, Server, ServerSettings, UploadIdleTimeout, bind};
use asset_gateway::shutdown::Shutdown;
use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) shutdown: Shutdown,
    pub(super) task: JoinHandle<()>,
}

pub(super) fn settings() -> ServerSettings {
    ServerSettings {
        header_read: Duration::from_millis(300),
        idle: Duration::from_secs(1),
        max_connections: 100,
        shutdown: Duration::from_secs(5),
        ..ServerSettings::default()
    }
}

fn refusal() -> Response {
    let body = serde_json::json!({"code": "size_exceeded", "message": "", "request_id": "r"});
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        [("x-request-id", "r")],
        Json(body),
    )
        .into_response()
}

/// Requests for `/held` that are under way.
pub(super) static HELD: AtomicUsize = AtomicUsize::new(0);

struct Held;

impl Held {
    fn new() -> Self {
        HELD.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An endless body: the client decides how much it reads.
fn endless() -> Response {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let chunks = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
    Body::from_stream(chunks).into_response()
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/peer",
            get(|Extension(Peer(peer))| async move { SocketAddr::to_string(&peer) }),
        )
        .route("/refused", put(|| async { refusal() }))
        .route(
            "/partly-read",
            put(|mut body: Body| async move {
                body.frame().await;
                refusal()
            }),
        )
        .route(
            "/stored",
            put(|body: Body| async move {
                match body.collect().await {
                    Ok(body) => body.to_bytes().len().to_string().into_response(),
                    Err(error) if UploadIdleTimeout::caused(&error) => {
                        StatusCode::REQUEST_TIMEOUT.into_response()
                    }
                    Err(_) => StatusCode::BAD_REQUEST.into_response(),
                }
            }),
        )
        .route("/endless", get(|| async { endless() }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                "done"
            }),
        )
        .route(
            "/never",
            get(|| async { std::future::pending::<&'static str>().await }),
        )
        .route(
            "/held",
            get(|| async {
                let _held = Held::new();
                std::future::pending::<&'static str>().await
            }),
        )
        .route(
            "/lookalike",
            get(|| async { "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n" }),
        )
}

pub(super) async fn start_on(listen: &str, settings: ServerSettings) -> Running {
    let listener = bind(listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = Shutdown::new();
    let server = Server::new(settings);
    let stop = shutdown.clone();
    let task = tokio::spawn(async move { server.run(listener, router(), stop).await });
    Running {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        shutdown,
        task,
    }
}

pub(super) async fn start(settings: ServerSettings) -> Running {
    start_on("127.0.0.1:0", settings).await
}

impl Running {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which a request for `path` was sent.
    pub(super) async fn get(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        send_get(&mut stream, path).await;
        stream
    }

    /// Sends `request` and reads until the server closes.
    pub(super) async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_to_end(&mut stream).await
    }
}

pub(super) async fn send_get(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the server closes")
        .expect("the server does not reset");
    String::from_utf8(answer).unwrap()
}

/// Reads one answer with a content length and leaves the connection open.
pub(super) async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let read = timeout(PATIENCE, stream.read_buf(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(
            read,
            0,
            "closed after {:?}",
            String::from_utf8_lossy(&answer)
        );
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = header(head, "content-length")
                .unwrap_or("0")
                .parse()
                .unwrap();
            if body.len() == length {
                return text.into_owned();
            }
        }
    }
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

pub(super) fn assert_error(answer: &str, status: u16, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON and nothing after it");
    assert_eq!(body["code"], code);
    assert!(!body["message"].as_str().unwrap().is_empty() || code == "size_exceeded");
    assert_eq!(body["request_id"].as_str(), header(head, "x-request-id"));
    assert_eq!(header(head, "connection"), Some("close"));
}
