//! What is sent to each cloud, byte for byte: host, path, signature, session token.
//!
//! No cloud can be reached from a test. So the hosts of the vendors lead to a listener of this process,
//! every request of every adapter is recorded, and checked against the arithmetic in [`arithmetic`],
//! which the vendors' own published signatures check in turn.

#![allow(clippy::unwrap_used, reason = "in a test it is an assertion")]

mod arithmetic;
mod places;
#[path = "../objects/support/scripted_storage.rs"]
#[allow(dead_code, reason = "the other tests use all of it")]
mod scripted_storage;
mod vectors;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use asset_gateway_backends::error::Result;
use asset_gateway_backends::object_backend::clouds::{ROUTES, markdown};
use asset_gateway_backends::object_backend::{
    ByteRange, Conditions, GetOptions, ObjectBackend, PutOptions, with_names_resolved_to,
};
use asset_gateway_backends::open::open_bucket;
use asset_gateway_backends::settings::Adapter;
use bytes::Bytes;
use futures_util::StreamExt;

use arithmetic::verify;
use places::{Place, places};
use scripted_storage::{Reply, Request, ScriptedStorage, answer, raw};

/// More than two parts: OpenDAL begins an upload when it is given the second.
const THREE_PARTS: usize = (16 << 20) + 1;

const KEYS: [&str; 14] = [
    "中文 文件/名+1%.txt",
    "😀/~tilde'quote\"(round).txt",
    "plain.txt",
    "with space/and  two.txt",
    "plus+plus.txt",
    "100%.txt",
    "%2F%20.txt",
    "star*bang!.txt",
    "[square] {curly}.txt",
    "a&b=c?d#e;f,g:h@i$j.txt",
    "back\\slash.txt",
    "<less>|pipe^caret`tick.txt",
    ".hidden/...",
    "",
];

/// What only an adapter sends that sends any key.
const KEYS_OF_AWS: [&str; 4] = ["folder/", "a//b.txt", " blank in front", "blank behind "];

/// Keys that go through multipart uploads, too.
const KEYS_IN_PARTS: usize = 2;

fn keys(adapter: Adapter) -> Vec<String> {
    let long = format!("{}/{}", "长".repeat(200), "n".repeat(99));
    assert_eq!(long.len(), 700);
    let mut keys: Vec<String> = KEYS.iter().map(|&key| key.to_owned()).collect();
    *keys.last_mut().unwrap() = long;
    if adapter == Adapter::Aws {
        keys.extend(KEYS_OF_AWS.map(str::to_owned));
    }
    keys
}

/// Answers as storage does. The id of an upload has characters that queries encode.
fn storage_response(request: &Request) -> Reply {
    let meta = [
        "ETag: \"5d41402abc4b2a76b9719d911017c592\"",
        "Last-Modified: Sat, 16 Dec 2023 16:20:57 GMT",
        "Content-Type: text/plain",
    ];
    let xml = |root: &str, inner: &str| {
        let text = format!("<?xml version=\"1.0\"?><{root}>{inner}</{root}>");
        answer("200 OK", &["Content-Type: application/xml"], text)
    };
    let ranged = request.header("range").is_some();
    let bytes = match request.method.as_str() {
        "HEAD" => {
            let lines = [&meta[..], &["Content-Length: 5"]].concat();
            raw("200 OK", &lines, "")
        }
        "GET" if ranged => {
            let lines = [&meta[..], &["Content-Range: bytes 1-3/5"]].concat();
            answer("206 Partial Content", &lines, "ell")
        }
        "GET" => answer("200 OK", &meta, "hello"),
        "PUT" => answer("200 OK", &meta[..1], ""),
        "POST" if request.begins_parts() => {
            let inner = "<UploadId>id+/=&amp;2~</UploadId>";
            xml("InitiateMultipartUploadResult", inner)
        }
        "POST" => xml("CompleteMultipartUploadResult", "<ETag>\"tag-2\"</ETag>"),
        _ => raw("204 No Content", &[], ""),
    };
    Reply { bytes, keep: true }
}

type Backend = Arc<dyn ObjectBackend>;

async fn read(backend: &Backend, key: &str) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_702_743_657);
    let whole = GetOptions::default();
    let part = GetOptions {
        range: Some(ByteRange::From {
            first: 1,
            last: Some(3),
        }),
        conditions: Conditions {
            if_match: Some("\"5d41402abc4b2a76b9719d911017c592\"".into()),
            if_unmodified_since: Some(time),
            ..Conditions::default()
        },
    };
    let changed = GetOptions {
        conditions: Conditions {
            if_none_match: Some("\"another\"".into()),
            if_modified_since: Some(time - Duration::from_secs(1)),
            ..Conditions::default()
        },
        ..GetOptions::default()
    };
    backend.head(key, &whole).await?;
    for options in [whole, part, changed] {
        let mut body = backend.get(key, &options).await?.body;
        while let Some(piece) = body.next().await {
            piece?;
        }
    }
    Ok(())
}

/// Of known and unknown length, with all that an upload can say of itself.
async fn write(backend: &Backend, key: &str) -> Result<()> {
    let known = PutOptions {
        content_length: Some(5),
        content_type: Some("text/plain; charset=utf-8".into()),
        ..PutOptions::default()
    };
    let capabilities = backend.capabilities();
    let told = |can: bool, value: &str| can.then(|| value.to_owned());
    let create_only = PutOptions {
        must_not_exist: capabilities.exclusive_create,
        marker: told(capabilities.markers, "0198f0c2"),
        content_encoding: told(capabilities.content_encoding, "gzip"),
        content_language: told(capabilities.content_language, "zh-CN, en"),
        ..PutOptions::default()
    };
    for options in [known, create_only] {
        let mut upload = backend.put(key, options).await?;
        upload.write(Bytes::from_static(b"hello")).await?;
        upload.finish().await?;
    }
    let empty = PutOptions {
        content_length: Some(0),
        ..PutOptions::default()
    };
    backend.put(key, empty).await?.finish().await.map(drop)
}

async fn write_in_parts(backend: &Backend, key: &str, finish: bool) -> Result<()> {
    let options = PutOptions {
        must_not_exist: backend.capabilities().exclusive_create,
        ..PutOptions::default()
    };
    let mut upload = backend.put(key, options).await?;
    upload.write(Bytes::from(vec![0; THREE_PARTS])).await?;
    match finish {
        true => upload.finish().await.map(drop),
        false => upload.abort().await,
    }
}

/// What the requests of a place were: tried, and those that its cloud would refuse.
#[derive(Default)]
struct Tally {
    by_operation: BTreeMap<String, usize>,
    create_only: usize,
    refused: Vec<String>,
}

impl Tally {
    fn check(&mut self, place: &Place, key: &str, requests: &[Request]) {
        for request in requests {
            let query = request
                .target
                .split_once('?')
                .map_or("", |(_, query)| query);
            let names = query.split('&').filter_map(|pair| pair.split('=').next());
            let names: Vec<&str> = names.filter(|name| *name != "x-id").collect();
            let operation = format!("{} ?{}", request.method, names.join("&"));
            *self.by_operation.entry(operation).or_default() += 1;
            let (name, value) = place.create_only;
            self.create_only += usize::from(request.header(name) == Some(value));
            if let Err(why) = verify(place, key, request) {
                let line = format!("{} {}", request.method, request.target);
                self.refused.push(format!("{}: {line}: {why}", place.name));
            }
        }
    }

    fn tried(&self) -> usize {
        self.by_operation.values().sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_what_the_cloud_accepts() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let storage = ScriptedStorage::start(storage_response).await;
    let address: std::net::SocketAddr = storage.endpoint[7..].parse().unwrap();
    println!("{}", markdown());
    let mut all = Tally::default();
    for route in ROUTES.iter().filter(|route| is_built(route.adapter)) {
        let mut tally = Tally::default();
        let places = places(route, address.port());
        for place in &places {
            let opened = with_names_resolved_to(address, || open_bucket(&place.settings));
            let backend = opened.unwrap_or_else(|error| panic!("{}: {error}", place.name));
            backend.ping().await.unwrap();
            storage.take_requests();
            for (index, key) in keys(route.adapter).iter().enumerate() {
                let done = async {
                    backend.check_key(key)?;
                    read(&backend, key).await?;
                    write(&backend, key).await?;
                    if index < KEYS_IN_PARTS {
                        write_in_parts(&backend, key, true).await?;
                        write_in_parts(&backend, key, false).await?;
                    }
                    backend.delete(key).await
                };
                let done = done.await;
                tally.check(place, key, &storage.take_requests());
                done.unwrap_or_else(|error| panic!("{} {key:?}: {error}", place.name));
            }
        }
        println!(
            "{:?} by {:?}: {} endpoints, {} requests tried, {} refused",
            route.provider,
            route.adapter,
            places.len(),
            tally.tried(),
            tally.refused.len()
        );
        assert!(tally.create_only >= places.len(), "{:?}", route.provider);
        for (operation, count) in tally.by_operation {
            *all.by_operation.entry(operation).or_default() += count;
        }
        all.refused.extend(tally.refused);
    }
    println!("{:#?}", all.by_operation);
    let first: Vec<&String> = all.refused.iter().take(20).collect();
    println!(
        "all: {} requests tried, {} refused",
        all.tried(),
        all.refused.len()
    );
    assert!(all.refused.is_empty(), "{first:#?}");
    for operation in [
        "PUT ?partNumber&uploadId",
        "POST ?uploads",
        "DELETE ?uploadId",
    ] {
        assert!(all.by_operation.contains_key(operation), "{operation}");
    }
}

fn is_built(adapter: Adapter) -> bool {
    match adapter {
        Adapter::Opendal => cfg!(feature = "opendal"),
        Adapter::Aws => cfg!(feature = "aws"),
    }
}
