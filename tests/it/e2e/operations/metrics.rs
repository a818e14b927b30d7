//! `/metrics`.

use asset_gateway::telemetry::metrics::ALL;
use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::raw;

#[tokio::test]
async fn every_declared_metric_is_served_and_contains_no_token() {
    let receiver = CallbackReceiver::start().await;
    let gateway = Gateway::with(json!({"limits": {"max_connections": 8}}));
    let fields = json!({"callback": receiver.url(), "token": "never-in-metrics", "max_hits": 5});
    let put = gateway.token("PUT", "secret-key").with(fields).await;
    assert_eq!(gateway.put(&put, "bytes").await.status, 200);
    gateway.put("unknown-never-in-metrics", "bytes").await;
    let get = gateway.token("GET", "secret-key").await;
    gateway.get(&get).await;
    let absent = gateway.token("GET", "absent").max_hits(1).await;
    gateway.get(&absent).await;
    answer(gateway.plain("BREW", "/made-up/never-in-metrics")).await;
    receiver.events(1).await;
    // One connection over the limit.
    let mut open = Vec::new();
    until("a refused connection", async || {
        let mut stream = raw::connect(gateway.port).await;
        use tokio::io::AsyncWriteExt;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let answer = raw::take(&mut stream, 12).await;
        open.push(stream);
        answer == b"HTTP/1.1 503"
    })
    .await;

    until("all families", async || {
        let text = gateway.scrape().await;
        ALL.iter()
            .all(|metric| text.contains(&format!("# TYPE {} ", metric.name)))
            && text.contains("asset_gateway_callbacks_total{outcome=\"delivered\"} 1")
    })
    .await;
    let text = gateway.scrape().await;
    for metric in ALL {
        assert!(
            text.contains(&format!("# HELP {} ", metric.name)),
            "{}",
            metric.name
        );
    }
    for line in [
        "asset_gateway_http_requests_total{route=\"/token\",method=\"POST\",status=\"2xx\"} 3",
        "asset_gateway_http_requests_total{route=\"other\",method=\"other\",status=\"4xx\"} 1",
        "asset_gateway_hits_committed_total 2",
        "asset_gateway_hits_released_total 1",
        "asset_gateway_hits_reserved_total 3",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for secret in ["never-in-metrics", "secret-key", &get, "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
}

#[tokio::test]
async fn metrics_are_served_on_their_own_listener() {
    let gateway = Gateway::start();
    let here = answer(gateway.plain("GET", "/metrics")).await;
    here.assert_error(404, "not_found");
    let url = format!("http://127.0.0.1:{}", gateway.metrics.unwrap());
    let there = gateway
        .client
        .get(format!("{url}/metrics"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        there.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for (method, path, status, code) in [
        ("GET", "/tokens", 404, "not_found"),
        ("POST", "/metrics", 405, "method_not_allowed"),
    ] {
        let method = method.parse().unwrap();
        let request = gateway.client.request(method, format!("{url}{path}"));
        answer(request).await.assert_error(status, code);
    }
}
