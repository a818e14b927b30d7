//! HTTP/2 without TLS, by prior knowledge.

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::BodyExt;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

use crate::support::api::until;
use crate::support::gateway::Gateway;
use crate::support::raw;

async fn connect(gateway: &Gateway) -> SendRequest<Body> {
    let stream = TokioIo::new(raw::connect(gateway.port).await);
    let (client, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(method: &str, token: &str, body: Body) -> Request<Body> {
    let uri = format!("http://gateway/object/{token}");
    Request::builder()
        .method(method)
        .uri(uri)
        .body(body)
        .unwrap()
}

async fn send(client: &mut SendRequest<Body>, request: Request<Body>) -> (u16, Bytes) {
    client.ready().await.unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert!(response.headers().contains_key("x-request-id"));
    let status = response.status().as_u16();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes(),
    )
}

#[tokio::test]
async fn uploads_and_downloads() {
    let gateway = Gateway::start();
    let mut client = connect(&gateway).await;
    let put = gateway.token("PUT", "k").await;
    let content = Bytes::from(vec![7; 3 << 20]);
    let (status, body) = send(&mut client, request("PUT", &put, content.clone().into())).await;
    assert_eq!(status, 200);
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["size"],
        3 << 20
    );

    let get = gateway.token("GET", "k").max_hits(8).await;
    let all = (0..8).map(|_| {
        let mut client = client.clone();
        let request = request("GET", &get, Body::empty());
        async move { send(&mut client, request).await }
    });
    for (status, body) in futures_util::future::join_all(all).await {
        assert_eq!((status, body == content), (200, true));
    }
    let (status, body) = send(&mut client, request("GET", &get, Body::empty())).await;
    assert_eq!(status, 409);
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error["code"], "hits_exceeded");
    let (status, body) = send(&mut client, request("HEAD", &get, Body::empty())).await;
    assert_eq!((status, body.len()), (200, 0));
}

#[tokio::test]
async fn a_refused_http2_upload_gets_its_answer_and_the_connection_stays() {
    let gateway = Gateway::start();
    let mut client = connect(&gateway).await;
    let put = gateway.token("PUT", "k").set("size", 10).await;
    let pieces = (0..64).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 1 << 16])));
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let (status, body) = send(&mut client, request("PUT", &put, body)).await;
    assert_eq!(status, 413);
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["code"],
        "size_exceeded"
    );
    let (status, _) = send(&mut client, request("PUT", &put, "0123456789".into())).await;
    assert_eq!(status, 200);
    assert_eq!(gateway.files(), ["k"]);
}

#[tokio::test]
async fn a_reset_stream_leaves_no_file_and_frees_its_hit() {
    let gateway = Gateway::start();
    let mut client = connect(&gateway).await;
    let put = gateway.token("PUT", "k").await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    client.ready().await.unwrap();
    let sending = client.send_request(request("PUT", &put, Body::from_stream(body)));
    let sending = tokio::spawn(sending);
    sender.send(Ok(Bytes::from_static(b"piece"))).await.unwrap();
    until("a temporary file", async || !gateway.files().is_empty()).await;
    sender
        .send(Err(std::io::Error::other("gone")))
        .await
        .unwrap();
    assert!(sending.await.unwrap().is_err());
    until("no temporary file", async || gateway.files().is_empty()).await;
    until("the hit is free", async || {
        gateway.put(&put, "new").await.status == 200
    })
    .await;
}
