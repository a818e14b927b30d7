//! `PUT`: the stored object and the answer.

use bytes::Bytes;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::api::answer;
use crate::support::gateway::Gateway;
use crate::support::raw;

fn pieces(count: usize) -> reqwest::Body {
    let pieces = (0..count).map(|n| Ok::<_, std::io::Error>(Bytes::from(vec![n as u8; 1 << 16])));
    reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn uploads_of_known_and_unknown_length_are_stored() {
    let gateway = Gateway::start();
    let known = gateway.token("PUT", "dir/known").await;
    let put = gateway.put(&known, vec![5; 5 << 20]).await;
    assert_eq!(put.json()["size"], 5 << 20);
    let etag = put.json()["etag"].as_str().unwrap().to_owned();
    assert_eq!(put.header("etag"), Some(format!("\"{etag}\"").as_str()));

    let chunked = gateway.token("PUT", "dir/chunked").await;
    let put = gateway.put(&chunked, pieces(80)).await;
    assert_eq!((put.status, &put.json()["size"]), (200, &json!(80 << 16)));
    let stored = std::fs::read(gateway.objects().join("dir/chunked")).unwrap();
    assert!(
        stored
            .chunks(1 << 16)
            .enumerate()
            .all(|(n, piece)| piece.iter().all(|b| *b == n as u8))
    );
    assert_eq!(gateway.files(), ["dir/chunked", "dir/known"]);

    let empty = gateway.token("PUT", "empty").await;
    assert_eq!(gateway.put(&empty, "").await.json()["size"], 0);
    assert_eq!(gateway.status(&empty).await["object_exists"], true);
}

#[tokio::test]
async fn a_put_token_is_good_for_one_upload() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").await;
    assert_eq!(gateway.put(&token, "first").await.status, 200);
    gateway
        .put(&token, "second")
        .await
        .assert_error(409, "hits_exceeded");
    assert_eq!(
        std::fs::read(gateway.objects().join("k")).unwrap(),
        b"first"
    );
    let head = gateway.head(&token).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("5"))
    );
    let unlimited = gateway.token("PUT", "k").max_hits(-1).await;
    for n in 0..3 {
        assert_eq!(gateway.put(&unlimited, format!("{n}")).await.status, 200);
    }
    assert_eq!(gateway.used_hits(&unlimited).await, 3);
}

#[tokio::test]
async fn a_100_continue_is_sent_after_the_checks() {
    let gateway = Gateway::start();
    let token = gateway.token("PUT", "k").set("size", 5).await;
    let head = |length: usize| {
        format!(
            "PUT /object/{token} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
                 Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    // The first answer is the final one, not a 100.
    let refused = raw::exchange(gateway.port, head(6)).await;
    refused.assert_error(413, "size_exceeded").says("5 bytes");

    let mut stream = raw::connect(gateway.port).await;
    stream.write_all(head(5).as_bytes()).await.unwrap();
    let interim = raw::take(&mut stream, 25).await;
    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"12345").await.unwrap();
    assert_eq!(raw::read_to_end(&mut stream).await.status, 200);
    assert_eq!(gateway.files(), ["k"]);

    let used = raw::exchange(gateway.port, head(5)).await;
    used.assert_error(409, "hits_exceeded");
}

#[tokio::test]
async fn the_content_type_is_stored_or_required() {
    let gateway = Gateway::start();
    let fields = json!({"content_type": "image/png", "max_hits": 9});
    let token = gateway.token("PUT", "k").with(fields).await;
    let put = async |content_type: Option<&str>| {
        let mut request = gateway.object("PUT", &token).body("x");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        answer(request).await
    };
    for other in ["image/jpeg", "text/html", "nonsense"] {
        put(Some(other))
            .await
            .assert_error(415, "unsupported_media_type")
            .says("image/png");
    }
    assert_eq!(gateway.files(), [""; 0]);
    assert_eq!(gateway.used_hits(&token).await, 0);
    for (sent, kept) in [
        (None, "image/png"),
        (Some("image/png"), "image/png"),
        (Some("IMAGE/PNG; x=y"), "IMAGE/PNG; x=y"),
    ] {
        assert_eq!(put(sent).await.status, 200);
        let get = gateway.token("GET", "k").await;
        assert_eq!(gateway.head(&get).await.header("content-type"), Some(kept));
    }
}

#[tokio::test]
async fn overwriting_can_be_forbidden() {
    let gateway = Gateway::start();
    gateway.place("k", "old");
    let fields = json!({"allow_overwrite": false});
    let token = gateway.token("PUT", "k").with(fields.clone()).await;
    gateway
        .put(&token, "new")
        .await
        .assert_error(412, "precondition_failed");
    gateway
        .put(&token, pieces(3))
        .await
        .assert_error(412, "precondition_failed");
    assert_eq!(std::fs::read(gateway.objects().join("k")).unwrap(), b"old");
    assert_eq!(gateway.files(), ["k"]);
    assert_eq!(gateway.used_hits(&token).await, 0);
    let free = gateway.token("PUT", "free").with(fields).await;
    assert_eq!(gateway.put(&free, "new").await.status, 200);
}

#[tokio::test]
async fn concurrent_exclusive_uploads_have_one_winner() {
    let gateway = Gateway::start();
    let fields = json!({"allow_overwrite": false, "max_hits": 20});
    let token = gateway.token("PUT", "k").with(fields).await;
    let puts = (0..20).map(|n| gateway.put(&token, format!("content {n}")));
    let answers = futures_util::future::join_all(puts).await;
    let stored: Vec<_> = answers
        .iter()
        .enumerate()
        .filter(|(_, a)| a.status == 200)
        .collect();
    assert_eq!(stored.len(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.assert_error(412, "precondition_failed");
    }
    let winner = format!("content {}", stored[0].0);
    assert_eq!(
        std::fs::read_to_string(gateway.objects().join("k")).unwrap(),
        winner
    );
    assert_eq!(gateway.used_hits(&token).await, 1);
    assert_eq!(gateway.files(), ["k"]);
}

/// A part of a file must not replace the object.
#[tokio::test]
async fn an_upload_with_content_range_is_refused() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let token = gateway.token("PUT", "k").await;
    let part = gateway
        .object("PUT", &token)
        .header("content-range", "bytes 5-9/10");
    let refused = answer(part.body("56789")).await;
    refused
        .assert_error(400, "bad_request")
        .says("Content-Range");
    assert_eq!(
        std::fs::read(gateway.objects().join("k")).unwrap(),
        b"0123456789"
    );
    assert_eq!(gateway.put(&token, "whole").await.status, 200);
}
