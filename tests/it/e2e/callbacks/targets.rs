//! Targets that callbacks must not reach.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::api::{answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// Listens on loopback and counts connections.
async fn trap() -> (u16, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let caught = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&caught);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            *counter.lock() += 1;
            drop(stream);
        }
    });
    (port, caught)
}

/// The log lines of failed attempts.
fn failures(gateway: &Gateway) -> Vec<Value> {
    let mut failed = gateway.logged("callback failed");
    failed.extend(gateway.logged("callback given up"));
    failed
}

#[tokio::test]
async fn a_denied_address_is_refused_in_every_form() {
    let gateway = Gateway::with(json!({"callback": {"deny_networks": LOOPBACK}}));
    for url in [
        "http://127.0.0.1/",
        "http://2130706433:8080/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[::1]/",
    ] {
        let refused = gateway
            .create(json!({"key": "k", "method": "GET", "callback": url}))
            .await;
        refused
            .assert_error(400, "bad_request")
            .says("callback: ")
            .says("`callback.deny_networks`");
    }
    let token = gateway.token("GET", "k").await;
    let change = json!({"callback": "http://127.0.0.1/"});
    let changed = gateway.patch(&token, change).await;
    changed.assert_error(400, "bad_request").says("callback");
    assert_eq!(gateway.record(&token).await["callback"], "");
    let batch = json!({"tokens": [{"bucket": "local", "key": "k", "method": "GET",
        "callback": "http://127.0.0.1/"}]});
    let refused = answer(gateway.control("POST", "/tokens").json(&batch)).await;
    refused
        .assert_error(400, "bad_request")
        .says("tokens[0]: callback");
}

#[tokio::test]
async fn metadata_services_are_denied_and_private_networks_are_not() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://100.100.100.200/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[fd00:ec2::254]/",
        "http://[fd00:ec2::23]/",
        "http://[fd20:ce::254]/",
        "http://168.63.129.16/",
        "http://[::ffff:168.63.129.16]/",
        "http://[::168.63.129.16]/",
        "http://[64:ff9b::168.63.129.16]/",
        "http://[2002:a83f:8110::1]/",
        "http://[2001:0:5ef5:79fb:0:0:57c0:7eef]/",
        "http://192.0.0.192/",
        "http://[2002:c000:c0::]/",
        "http://0/",
    ] {
        let refused = gateway
            .create(json!({"key": "k", "method": "GET", "callback": url}))
            .await;
        refused.assert_error(400, "bad_request").says("callback");
    }
    gateway.place("k", "bytes");
    let url = receiver.url().replace("127.0.0.1", "[::ffff:127.0.0.1]");
    for url in [
        receiver.url(),
        receiver.url().replace("127.0.0.1", "localhost"),
        url,
    ] {
        let before = receiver.attempts().len();
        let token = gateway.token("GET", "k").callback(url).await;
        gateway.get(&token).await;
        receiver.all(before + 1).await;
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_a_denied_address_is_never_connected_to() {
    let (port, caught) = trap().await;
    let receiver = CallbackReceiver::start().await;
    let callback = json!({"deny_networks": LOOPBACK, "retry_seconds": [1, 1, 1, 1, 1, 1, 1, 1]});
    let gateway = Gateway::with(json!({"callback": callback}));
    gateway.place("k", "bytes");
    let hidden = format!("http://user:in-the-url@localhost:{port}/");
    let healed = receiver.url().replace("127.0.0.1", "localhost");
    for url in [hidden, healed] {
        let token = gateway.token("GET", "k").callback(url).await;
        assert_eq!(gateway.get(&token).await.status, 200);
    }
    until("two attempts for each", async || {
        failures(&gateway).len() >= 4
    })
    .await;
    for failure in failures(&gateway) {
        assert_eq!(failure["message"], "callback failed", "{failure}");
        assert_eq!(failure["error.type"], "target_denied", "{failure}");
    }
    assert_eq!(*caught.lock(), 0);
    assert!(receiver.attempts().is_empty());

    let stopped = gateway.stop();
    assert!(!stopped.log.contains("in-the-url"), "{}", stopped.log);
    let gateway = stopped.start_with(json!({"callback": {"deny_networks": []}}));
    receiver.all(1).await;
    until("the other target is called", async || *caught.lock() > 0).await;
    assert!(!gateway.log().contains("in-the-url"));
}

#[tokio::test]
async fn deny_private_denies_every_private_network() {
    let (port, caught) = trap().await;
    let callback = json!({"deny_private": true, "retry_seconds": []});
    let gateway = Gateway::with(json!({"callback": callback}));
    for url in [
        "http://127.0.0.1/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://169.254.0.1/",
        "http://100.64.0.1/",
        "http://0/",
        "http://[::]/",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[fd12::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[2002:a00:1::]/",
        "http://[2001:0:5ef5:79fb:0:0:f5ff:fffe]/",
    ] {
        let refused = gateway
            .create(json!({"key": "k", "method": "GET", "callback": url}))
            .await;
        refused
            .assert_error(400, "bad_request")
            .says("`callback.deny_private`");
    }
    gateway.place("k", "bytes");
    let hidden = json!({"callback": format!("http://localhost:{port}/")});
    let token = gateway.token("GET", "k").with(hidden).await;
    assert_eq!(gateway.get(&token).await.status, 200);
    until("the event is given up", async || {
        !failures(&gateway).is_empty()
    })
    .await;
    assert_eq!(failures(&gateway).remove(0)["error.type"], "target_denied");
    assert_eq!(*caught.lock(), 0);
}

#[tokio::test]
async fn targets_are_checked_before_each_attempt() {
    let (port, caught) = trap().await;
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let fields = json!({"callback": format!("http://127.0.0.1:{port}/")});
    let token = gateway.token("GET", "k").with(fields).await;
    let denying = json!({"deny_networks": ["127.0.0.0/8"], "retry_seconds": []});
    let gateway = gateway.stop().start_with(json!({"callback": denying}));
    assert_eq!(gateway.get(&token).await.status, 200);
    until("the event is given up", async || {
        !failures(&gateway).is_empty()
    })
    .await;
    let failure = failures(&gateway).remove(0);
    assert_eq!(failure["message"], "callback given up");
    assert_eq!(failure["error.type"], "target_denied");
    assert_eq!(*caught.lock(), 0);
}

#[tokio::test]
async fn hosts_outside_allowed_hosts_are_refused() {
    let receiver = CallbackReceiver::start().await;
    let allowed = json!([
        format!("localhost:{}", receiver.address.port()),
        "*.example.com"
    ]);
    let gateway = Gateway::with(json!({"callback": {"allowed_hosts": allowed}}));
    for url in [
        receiver.url(),
        "http://localhost/".into(),
        "https://example.com/".into(),
    ] {
        let refused = gateway
            .create(json!({"key": "k", "method": "GET", "callback": url}))
            .await;
        refused
            .assert_error(400, "bad_request")
            .says("`callback.allowed_hosts`");
    }
    gateway.place("k", "bytes");
    let url = receiver.url().replace("127.0.0.1", "LOCALHOST");
    let token = gateway.token("GET", "k").callback(url).await;
    gateway.get(&token).await;
    receiver.all(1).await;
    gateway
        .token("GET", "k")
        .with(json!({"callback": "https://a.example.com/hook"}))
        .await;
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let (proxy, caught) = trap().await;
    let receiver = CallbackReceiver::start().await;
    let proxy = format!("http://127.0.0.1:{proxy}");
    let mut builder = Gateway::builder();
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        builder = builder.variable(name, &proxy);
    }
    let gateway = builder.start();
    gateway.place("k", "bytes");
    let token = gateway.token("GET", "k").callback(receiver.url()).await;
    gateway.get(&token).await;
    receiver.all(1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(*caught.lock(), 0);
}
