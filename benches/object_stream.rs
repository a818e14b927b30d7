//! Downloads through a real socket: router and server in this process, one client on one connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use asset_gateway::buckets::Buckets;
use asset_gateway::callbacks::{CallbackSettings, CircuitBreaker, Deliverer};
use asset_gateway::config::{CorsConfig, UnknownFields};
use asset_gateway::http::rate_limit::ClientLimiter;
use asset_gateway::http::router;
use asset_gateway::http::server::{Server, ServerSettings, bind};
use asset_gateway::http::state::{AppState, Dependencies};
use asset_gateway::shutdown::Shutdown;
use asset_gateway::tokens::{Digester, Redeemer, TokenSecret};
use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::object_backend::fs::FsBackend;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use asset_gateway_backends::object_backend::{ObjectBackend, PutOptions};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{QueueLimits, Secret, TokenStoreSettings};
use asset_gateway_backends::token_store::{Method, TokenRecord};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

const KIB: u64 = 1024;
const SIZES: [(&str, u64); 4] = [
    ("1KiB", KIB),
    ("64KiB", 64 * KIB),
    ("1MiB", KIB * KIB),
    ("64MiB", 64 * KIB * KIB),
];
const BUCKETS: [&str; 2] = ["fs", "memory"];

fn token(bucket: &str, size: &str) -> TokenSecret {
    TokenSecret::parse(&format!("{bucket}-{size}")).expect("a token")
}

/// Starts a gateway with an object of each size in each bucket, and a token for each.
async fn serve(folder: &std::path::Path) -> SocketAddr {
    let fs: Arc<dyn ObjectBackend> =
        Arc::new(FsBackend::open(folder.to_owned()).expect("a folder"));
    let memory: Arc<dyn ObjectBackend> = Arc::new(MemoryBackend::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = open_stores(
        &TokenStoreSettings::Memory,
        QueueLimits::default(),
        Arc::clone(&clock),
    )
    .expect("a store");
    let digester = Digester::new(&Secret::default());
    let now = clock.now_seconds();
    for (bucket, backend) in BUCKETS.into_iter().zip([&fs, &memory]) {
        for (name, size) in SIZES {
            let options = PutOptions::default();
            let mut upload = backend.put(name, options).await.expect("an upload");
            let length = usize::try_from(size).expect("fits");
            let body = Bytes::from(vec![b'x'; length]);
            upload.write(body).await.expect("written");
            upload.finish().await.expect("stored");
            let record = TokenRecord::new(bucket, name, Method::Get, now, now + 86_400);
            let id = digester.id(&token(bucket, name));
            stores
                .tokens
                .create(vec![(id, record)])
                .await
                .expect("created");
        }
    }
    let buckets = BTreeMap::from([("fs".to_owned(), fs), ("memory".to_owned(), memory)]);
    let shutdown = Shutdown::new();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = CallbackSettings::default();
    let circuit_breaker = Arc::new(CircuitBreaker::new(stores.callbacks));
    let deliverer = Deliverer::new(circuit_breaker.clone(), clock.clone(), settings);
    let state = AppState::new(Dependencies {
        redeemer: Redeemer::new(stores.tokens, clock, digester, circuit_breaker.clone()),
        circuit_breaker,
        deliverer: Arc::new(deliverer.expect("an HTTP client")),
        target_policy: Arc::default(),
        buckets: Buckets::new(buckets),
        control_tokens: Vec::new(),
        unknown_fields: UnknownFields::Reject,
        public_base: "http://localhost".to_owned(),
        trusted_proxies: Arc::default(),
        cors: CorsConfig::default(),
        client_limiter: ClientLimiter::new(0),
        shutdown: shutdown.clone(),
    });
    let listener = bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = Server::new(ServerSettings::default());
    tokio::spawn(async move { server.run(listener, router(state), shutdown).await });
    address
}

/// A minimal client on one keep-alive connection.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            buffer: vec![0; 256 * 1024],
        }
    }

    async fn download(&mut self, request: &[u8], size: u64) {
        self.stream.write_all(request).await.expect("sent");
        let mut head = 0;
        let body = loop {
            head += self.read(head).await;
            if let Some(end) = self.buffer[..head]
                .windows(4)
                .position(|w| w == b"\r\n\r\n")
            {
                break head - end - 4;
            }
        };
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 "));
        let mut left = size - body as u64;
        while left > 0 {
            left -= self.read(0).await as u64;
        }
    }

    async fn read(&mut self, from: usize) -> usize {
        let read = self.stream.read(&mut self.buffer[from..]).await;
        let read = read.expect("bytes");
        assert_ne!(read, 0, "closed");
        read
    }
}

fn object_stream(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let address = runtime.block_on(serve(folder.path()));
    for bucket in BUCKETS {
        let mut group = criterion.benchmark_group(format!("object_stream/{bucket}"));
        for (name, size) in SIZES {
            group.throughput(Throughput::Bytes(size));
            if size > KIB * KIB {
                group
                    .sample_size(10)
                    .measurement_time(Duration::from_secs(5));
            }
            let request = format!(
                "GET /object/{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                token(bucket, name).expose()
            );
            let client = Mutex::new(runtime.block_on(Client::connect(address)));
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.to_async(&runtime).iter(|| async {
                    client.lock().await.download(request.as_bytes(), size).await;
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, object_stream);
criterion_main!(benches);
