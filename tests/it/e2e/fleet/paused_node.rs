//! A node is paused between the intent of its uploads and their visibility, and resumes after its
//! hits were given to others.
//!
//! The leases of these nodes are short, because they go by Redis' clock, which no test can move.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::api::{Answer, answer, until};
use crate::support::fleet::Fleet;
use crate::support::gateway::Gateway;
use crate::support::raw;
use crate::support::redis::server::Server;
use crate::support::s3::S3sServer;

const LEASE: Duration = Duration::from_secs(10);
/// A lease, the pause between two sweeps, and time for a loaded machine.
const PAUSED: Duration = Duration::from_secs(22);
/// More than socket buffers take.
const LARGE: usize = 16 << 20;
/// Two parts.
const PARTS: usize = 9 << 20;

/// A proxy for Redis that can hold answers back.
struct Gate {
    address: SocketAddr,
    is_open: watch::Sender<bool>,
}

impl Gate {
    async fn before(redis: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_open, opened) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                let redis = TcpStream::connect(redis).await.unwrap();
                let (mut from_node, to_node) = node.into_split();
                let (from_redis, mut to_redis) = redis.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_node, &mut to_redis).await;
                });
                tokio::spawn(pass_on(from_redis, to_node, opened.clone()));
            }
        });
        Self { address, is_open }
    }
}

async fn pass_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut opened: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if opened.wait_for(|is_open| *is_open).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}

/// The number of uploads with an intent in Redis.
fn finalising(redis: &Server) -> usize {
    let count = "local n = 0
        for _, key in ipairs(redis.call('KEYS', 'ag:*:l:*')) do
          for _, field in ipairs(redis.call('HKEYS', key)) do
            if string.sub(field, 1, 1) == 'i' then n = n + 1 end
          end
        end
        return n";
    redis.cli(&["EVAL", count, "0"]).trim().parse().unwrap()
}

/// The number of temporary files of uploads.
fn temporary_files(fleet: &Fleet) -> usize {
    let folder = fleet.root().join(".asset-gateway/tmp");
    std::fs::read_dir(folder).unwrap().count()
}

/// An upload without its last bytes, which are in `end`.
struct Begun {
    stream: TcpStream,
    end: &'static [u8],
}

async fn of_known_length(port: u16, token: &str) -> Begun {
    let stream = raw::begin_upload(port, token, 1_000, &[1; 999]).await;
    Begun { stream, end: &[1] }
}

async fn of_unknown_length(port: u16, token: &str) -> Begun {
    let mut stream = raw::connect(port).await;
    let head = format!(
        "PUT /object/{token} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{PARTS:x}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![1; PARTS]).await.unwrap();
    Begun {
        stream,
        end: b"\r\n1\r\nx\r\n0\r\n\r\n",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_finds_its_leases_expired_when_it_resumes() {
    let s3 = S3sServer::start().await;
    let redis = Server::start();
    let gate = Gate::before(redis.address().parse().unwrap()).await;
    let mut fleet = Fleet::with_lease(0, redis, LEASE, json!({}));
    let local = json!({"local": {"provider": "fs", "root": fleet.root()}});
    fleet.set(s3.sections(local));
    fleet.add();
    let other = fleet.nodes.remove(0);
    fleet.set(json!({"redis": {"addr": gate.address.to_string()}}));
    fleet.add();
    let node = fleet.nodes.remove(0);

    // Redis knows every script from here on: each later operation is one call.
    for bucket in ["local", "s3"] {
        let token = node.token("PUT", "warm").set("bucket", bucket).await;
        assert_eq!(node.put(&token, "bytes").await.status, 200);
    }
    fleet.place("large", vec![7; LARGE]);
    let complete = json!({"max_hits": 1, "hit_on": "complete"});
    let download = node.token("GET", "large").with(complete).await;
    let file = node.token("PUT", "file").await;
    let small = node.token("PUT", "small").set("bucket", "s3").await;
    let parts = node.token("PUT", "parts").set("bucket", "s3").await;
    let mut downloading = raw::begin_download(node.port, &download, "").await;
    let mut uploads = [
        of_known_length(node.port, &file).await,
        of_known_length(node.port, &small).await,
        of_unknown_length(node.port, &parts).await,
    ];
    until("a part is in storage", async || {
        let open = s3.open_uploads();
        open.iter().any(|name| name.contains(".part-"))
    })
    .await;
    stop_while_finalising(&fleet.redis, &gate, &node, &mut uploads).await;
    tokio::time::sleep(PAUSED).await;

    // The paused node's hits are free, and are used by the other node.
    let whole = other.get(&download).await;
    assert_eq!((whole.status, whole.body.len()), (200, LARGE));
    for token in [&file, &small, &parts] {
        until("the hit is free", async || {
            other.put(token, "the other's").await.status == 200
        })
        .await;
    }
    // Both kinds of uploads are fenced off before the node resumes.
    assert_eq!(temporary_files(&fleet), 0);
    assert_eq!(s3.open_uploads(), Vec::<String>::new());
    node.signal("CONT");

    for upload in &mut uploads {
        raw::read_to_end(&mut upload.stream)
            .await
            .assert_error(503, "unavailable");
    }
    let mut got = Vec::new();
    let _ = downloading.read_to_end(&mut got).await;
    assert!(got.len() < LARGE, "delivered twice on one hit");
    assert_eq!(fleet.stored("file").as_deref(), Some(&b"the other's"[..]));
    for key in ["small", "parts"] {
        assert_eq!(
            s3.object(key).as_deref(),
            Some(&b"the other's"[..]),
            "{key}"
        );
    }
    assert_eq!(s3.open_uploads(), Vec::<String>::new());
    for token in [&file, &small, &parts] {
        assert_eq!(other.used_hits(token).await, 1);
        let spent: Answer = answer(node.object("PUT", token).body("more")).await;
        spent.assert_error(409, "hits_exceeded");
    }
}

/// Pauses the node when Redis has the intent of each upload and the node has no answer yet.
async fn stop_while_finalising(redis: &Server, gate: &Gate, node: &Gateway, uploads: &mut [Begun]) {
    gate.is_open.send_replace(false);
    for upload in uploads.iter_mut() {
        upload.stream.write_all(upload.end).await.unwrap();
    }
    let all = uploads.len();
    until("Redis has every intent", async || finalising(redis) == all).await;
    node.signal("STOP");
    gate.is_open.send_replace(true);
}
