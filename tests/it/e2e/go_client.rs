//! Clients of the first AssetGateway: its requests, and its answers field by field.

use serde_json::{Value, json};

use crate::support::api::{answer, now};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

/// The fields of `answer` that the first AssetGateway had.
#[track_caller]
fn assert_holds(answer: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[field], value, "{field} of {answer}");
    }
}

fn names(answer: &Value) -> Vec<&str> {
    let fields = answer.as_object().unwrap().keys();
    fields.map(String::as_str).collect()
}

#[tokio::test]
async fn a_legacy_upload_gets_the_legacy_answers() {
    let gateway = Gateway::with(json!({"server": {
        "listen": "127.0.0.1:0", "host": "https://gateway.example.com/"}}));
    let expire_at = now(600);
    let created = gateway
        .create(json!({
            "token": "put-token-123", "key": "uploads/report.pdf", "filename": "report.pdf",
            "method": "PUT", "expire_at": expire_at, "max_hits": 1, "size": 10_485_760,
            "callback": "https://example.invalid/webhook/asset",
        }))
        .await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("content-type"), Some("application/json"));
    let url = "https://gateway.example.com/object/put-token-123";
    let status_url = "https://gateway.example.com/token/put-token-123/status";
    let created = created.json();
    assert_holds(
        &created,
        &json!({"token": "put-token-123", "method": "PUT", "filename": "report.pdf",
            "expire_at": expire_at, "url": url, "status_url": status_url}),
    );
    assert_eq!(created["token_id"].as_str().unwrap().len(), 32);
    assert_eq!(created.as_object().unwrap().len(), 7, "{created}");

    let mut record = json!({
        "token": "put-token-123", "bucket": "local", "key": "uploads/report.pdf",
        "filename": "report.pdf", "method": "PUT", "expire_at": expire_at, "max_hits": 1,
        "used_hits": 0, "size": 10_485_760, "callback": "https://example.invalid/webhook/asset",
        "url": url,
    });
    assert_holds(&gateway.record("put-token-123").await, &record);
    let status = gateway.status("put-token-123").await;
    record["status_url"] = json!(status_url);
    assert_holds(&status, &record);
    let absent = json!({"uploaded": false, "object_exists": false, "object_size": 0, "etag": ""});
    assert_holds(&status, &absent);
    assert!(!names(&status).contains(&"uploaded_at"));

    let body = vec![7; 83_214];
    let put = gateway.object("PUT", "put-token-123");
    let stored = answer(put.header("content-type", "application/pdf").body(body)).await;
    assert_eq!(stored.status, 200);
    let stored = stored.json();
    assert_eq!(names(&stored), ["etag", "size"]);
    assert_eq!(stored["size"], 83_214);
    let etag = stored["etag"].as_str().unwrap();
    assert!(!etag.is_empty() && !etag.contains('"'));

    let status = gateway.status("put-token-123").await;
    assert_holds(
        &status,
        &json!({"uploaded": true, "object_exists": true, "object_size": 83_214, "etag": etag,
            "used_hits": 1}),
    );
    assert!((now(-60)..=now(0)).contains(&status["uploaded_at"].as_i64().unwrap()));

    let head = gateway.head("put-token-123").await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), Some("83214"));
    assert_eq!(head.header("etag"), Some(format!("\"{etag}\"").as_str()));
    assert_eq!(head.header("content-type"), Some("application/pdf"));
    assert_eq!(
        head.header("content-disposition"),
        Some("attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf")
    );
    assert_eq!(gateway.used_hits("put-token-123").await, 1);

    let deleted = answer(gateway.control("DELETE", "/token/put-token-123")).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    let gone = answer(gateway.control("GET", "/token/put-token-123")).await;
    gone.assert_error(404, "token_not_found");
}

#[tokio::test]
async fn a_legacy_download_of_a_generated_token() {
    let gateway = Gateway::start();
    gateway.place("videos/demo.mp4", [9; 1000]);
    let created = gateway
        .create(json!({"key": "videos/demo.mp4", "filename": "demo.mp4", "method": "GET"}))
        .await
        .json();
    let token = created["token"].as_str().unwrap();
    assert_eq!(token.len(), 28);
    assert_eq!(created["url"], format!("{}/object/{token}", gateway.base));
    let expire_at = created["expire_at"].as_i64().unwrap();
    assert!((now(1700)..=now(1800)).contains(&expire_at));

    let got = answer(gateway.client.get(created["url"].as_str().unwrap())).await;
    assert_eq!((got.status, got.body.len()), (200, 1000));
    assert_eq!(got.header("content-type"), Some("video/mp4"));
    assert_eq!(
        got.header("content-disposition"),
        Some("attachment; filename=\"demo.mp4\"; filename*=UTF-8''demo.mp4")
    );
    let status = gateway.status(token).await;
    assert_holds(
        &status,
        &json!({"uploaded": true, "object_exists": true, "object_size": 1000}),
    );
}

/// The JSON of a Go struct without values.
#[tokio::test]
async fn empty_strings_nulls_and_zero_expiry_mean_not_given() {
    let gateway = Gateway::start();
    let empty = json!({
        "token": "", "key": "a", "filename": "", "method": "PUT", "expire_at": 0, "callback": "",
        "max_hits": null, "size": null, "disposition": "", "content_type": "", "metadata": null,
        "tags": null, "allowed_ips": null, "allow_overwrite": null, "hit_on": "", "delivery": "",
        "not_before": 0, "hit_window": 0,
    });
    let created = gateway.create(empty).await;
    assert_eq!(created.status, 201, "{created:?}");
    let created = created.json();
    let expire_at = created["expire_at"].as_i64().unwrap();
    assert!((now(1700)..=now(1800)).contains(&expire_at));
    let record = gateway.record(created["token"].as_str().unwrap()).await;
    assert_holds(
        &record,
        &json!({"filename": "", "callback": "", "max_hits": 1, "size": -1, "used_hits": 0}),
    );
    for method in ["GET", "HEAD"] {
        let token = gateway.token(method, "a").await;
        assert_eq!(gateway.record(&token).await["max_hits"], -1);
    }
}

#[tokio::test]
async fn a_callback_has_the_thirteen_legacy_fields() {
    let gateway = Gateway::start();
    let receiver = CallbackReceiver::start().await;
    let fields = json!({"callback": receiver.url()});
    let token = gateway
        .token("PUT", "uploads/report.pdf")
        .with(fields)
        .await;
    let put = gateway.object("PUT", &token);
    let put = put
        .header("user-agent", "curl/8.7.1")
        .header("referer", "https://page.example/")
        .header("x-request-id", "request-7");
    let stored = answer(put.body("file")).await.json();
    let event = receiver.events(1).await.remove(0);
    assert_holds(
        &event,
        &json!({
            "event": "asset.access", "method": "PUT", "status": 200, "bucket": "local",
            "key": "uploads/report.pdf", "size": 4, "etag": stored["etag"], "range": "",
            "client_ip": "127.0.0.1", "user_agent": "curl/8.7.1",
            "referer": "https://page.example/", "request_id": "request-7",
        }),
    );
    assert!((now(-60)..=now(0)).contains(&event["timestamp"].as_i64().unwrap()));
}
