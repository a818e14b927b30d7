//! `Content-Encoding` of storage, with and without the framing of S3 clients.

use asset_gateway_backends::object_backend::GetOptions;
use asset_gateway_backends::open::open_bucket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::Settings;

/// Answers every request with an object of five bytes and these codings.
async fn start_storage(codings: &'static str) -> String {
    crate::support::install_crypto();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let body = if head.starts_with(b"HEAD") {
                    ""
                } else {
                    "bytes"
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"e\"\r\n\
                     last-modified: Tue, 01 Sep 2026 10:00:00 GMT\r\n\
                     content-encoding: {codings}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    endpoint
}

pub async fn the_framing_of_s3_is_no_coding(settings: Settings) {
    for (stored, expected) in [
        ("aws-chunked", None),
        ("gzip,aws-chunked", Some("gzip")),
        ("AWS-Chunked, zstd", Some("zstd")),
        ("gzip", Some("gzip")),
    ] {
        let endpoint = start_storage(stored).await;
        let backend = open_bucket(&settings(endpoint)).unwrap();
        let head = backend.head("k", &GetOptions::default()).await.unwrap();
        assert_eq!(head.content_encoding.as_deref(), expected, "HEAD: {stored}");
        let got = backend.get("k", &GetOptions::default()).await.unwrap();
        assert_eq!(
            got.meta.content_encoding.as_deref(),
            expected,
            "GET: {stored}"
        );
    }
}
