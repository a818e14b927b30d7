//! Request line and head: sends any bytes to a gateway on loopback. Every answer is valid HTTP with a
//! request id, and errors are the gateway's JSON.

mod answers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use asset_gateway::buckets::Buckets;
use asset_gateway::callbacks::{CallbackSettings, CircuitBreaker, Deliverer};
use asset_gateway::config::{ControlToken, CorsConfig, UnknownFields};
use asset_gateway::http::rate_limit::ClientLimiter;
use asset_gateway::http::router;
use asset_gateway::http::server::{Server, ServerSettings};
use asset_gateway::http::state::{AppState, Dependencies};
use asset_gateway::shutdown::Shutdown;
use asset_gateway::tokens::{Digester, Redeemer, TokenSecret};
use asset_gateway_backends::clock::SystemClock;
use asset_gateway_backends::object_backend::ObjectBackend;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, TokenStoreSettings};
use asset_gateway_backends::token_store::{Method, TokenRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use answers::Answer;

/// RFC 9113 §3.4.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longer than every time limit of the gateway.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// `data`: what a client sends before it closes its sending side.
pub fn run(data: &[u8]) {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    let gateway = GATEWAY.get_or_init(Gateway::start);
    let received = gateway.exchange(data);
    if data.starts_with(H2_PREFACE) {
        return;
    }
    let answers = answers::parse(&received).unwrap_or_else(|what| {
        let received = String::from_utf8_lossy(&received);
        panic!("{what}: {received}")
    });
    for answer in &answers {
        check(answer);
    }
    if let Some(why) = ambiguous(data) {
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(
            matches!(statuses.as_slice(), [400 | 431 | 501]),
            "{why}: {statuses:?}"
        );
        assert_eq!(
            answers[0].values("connection").collect::<Vec<_>>(),
            ["close"]
        );
    }
}

/// Why two readers could differ about the end or the host of the first request (RFC 9112 §3.2, §6). `None`:
/// they could not, or this simple reader finds no complete head.
fn ambiguous(data: &[u8]) -> Option<&'static str> {
    let end = data.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(&data[..end]).ok()?.split("\r\n");
    let mut line = lines.next()?.split(' ');
    let (_, _, "HTTP/1.1", None) = (line.next()?, line.next()?, line.next()?, line.next()) else {
        return None;
    };
    let headers: Option<Vec<(&str, &str)>> = lines.map(|line| line.split_once(':')).collect();
    let headers = headers?;
    let values = |name: &str| -> Vec<&str> {
        let named = headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim()).collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    match (values("host").len(), lengths.len(), codings.as_slice()) {
        (0, ..) => Some("no Host"),
        (2.., ..) => Some("several Hosts"),
        (_, 2.., _) => Some("several lengths"),
        (_, 1, [_, ..]) => Some("a length and a coding"),
        (_, _, [_, _, ..]) => Some("several codings"),
        (_, _, [coding]) if !coding.eq_ignore_ascii_case("chunked") => Some("an unknown coding"),
        _ => None,
    }
}

fn check(answer: &Answer<'_>) {
    assert_ne!(answer.status, 500);
    let ids: Vec<&str> = answer.values("x-request-id").collect();
    let [id] = ids.as_slice() else {
        panic!("{} has request ids {ids:?}", answer.status);
    };
    assert!((1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    if answer.status >= 400 && !answer.body.is_empty() {
        let body: serde_json::Value = serde_json::from_slice(answer.body).expect("JSON");
        assert!(body["code"].is_string() && body["message"].is_string());
        assert_eq!(body["request_id"], *id);
    }
}

/// Server and client share a thread, so that the code that runs depends on the bytes alone.
struct Gateway {
    runtime: Runtime,
    address: SocketAddr,
}

impl Gateway {
    fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        let address = runtime.block_on(serve());
        Self { runtime, address }
    }

    /// All bytes that the gateway sends until it closes.
    fn exchange(&self, data: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut client = TcpStream::connect(self.address).await.expect("connected");
            // No port stays in TIME_WAIT.
            client.set_zero_linger().expect("a socket");
            let mut received = Vec::new();
            let (mut reading, mut writing) = client.split();
            let write = async {
                // Early answers close the connection.
                let _ = writing.write_all(data).await;
                let _ = writing.shutdown().await;
            };
            let read = async {
                // A reset ends the answer.
                let _ = reading.read_to_end(&mut received).await;
            };
            let both = async { tokio::join!(write, read) };
            let ended = tokio::time::timeout(EXCHANGE_TIMEOUT, both).await;
            assert!(ended.is_ok(), "the gateway neither answers nor closes");
            received
        })
    }
}

/// Serves the whole router over a store and a bucket in memory, with the tokens `get` and `put`. The control
/// token is random.
async fn serve() -> SocketAddr {
    let clock = Arc::new(SystemClock);
    let limits = QueueLimits::default();
    let stores = open_stores(&TokenStoreSettings::Memory, limits, clock.clone());
    let Stores { tokens, callbacks } = stores.unwrap_or_else(|error| panic!("{error}"));
    let digester = Digester::default();
    let records = [("get", Method::Get), ("put", Method::Put)].map(|(token, method)| {
        let secret = TokenSecret::parse(token).expect("a token");
        let record = TokenRecord::new("local", "a.bin", method, 0, u64::MAX / 2);
        (digester.id(&secret), record)
    });
    let created = tokens.create(records.into()).await;
    created.unwrap_or_else(|error| panic!("{error}"));
    let control = TokenSecret::generate().expect("randomness");
    let control = ControlToken::try_from(control.expose().to_owned()).expect("a control token");
    let bucket: Arc<dyn ObjectBackend> = Arc::new(MemoryBackend::default());
    let circuit_breaker = Arc::new(CircuitBreaker::new(callbacks));
    let deliverer = Deliverer::new(
        circuit_breaker.clone(),
        clock.clone(),
        CallbackSettings::default(),
    );
    let shutdown = Shutdown::new();
    let state = AppState::new(Dependencies {
        redeemer: Redeemer::new(tokens, clock, digester, circuit_breaker.clone()),
        circuit_breaker,
        deliverer: Arc::new(deliverer.expect("a client")),
        target_policy: Arc::default(),
        buckets: Buckets::new(BTreeMap::from([("local".to_owned(), bucket)])),
        control_tokens: vec![control],
        unknown_fields: UnknownFields::Reject,
        public_base: "http://gateway.example".to_owned(),
        trusted_proxies: Arc::default(),
        cors: CorsConfig::default(),
        client_limiter: ClientLimiter::default(),
        shutdown: shutdown.clone(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let server = Server::new(ServerSettings::default());
        server.run(listener, router(state), shutdown).await;
    });
    address
}
