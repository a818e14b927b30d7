//! Which accesses are reported, and with which fields.

use serde_json::json;

use crate::support::api::{answer, now};
use crate::support::callback_receiver::{Attempt, CallbackReceiver};
use crate::support::gateway::Gateway;

const FIELDS: [&str; 17] = [
    "bucket",
    "client_ip",
    "etag",
    "event",
    "event_id",
    "key",
    "metadata",
    "method",
    "outcome",
    "range",
    "referer",
    "request_id",
    "size",
    "status",
    "timestamp",
    "token_id",
    "user_agent",
];

#[tokio::test]
async fn each_access_is_reported_with_exactly_these_fields() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    let fields = json!({"callback": receiver.url(), "metadata": {"order": "7"}, "max_hits": 9});
    let put = gateway.token("PUT", "dir/k").with(fields.clone()).await;
    let get = gateway.token("GET", "dir/k").with(fields).await;
    let send = async |method: &str, token: &str, id: &str, range: &str| {
        let mut request = gateway.object(method, token).header("x-request-id", id);
        request = request
            .header("user-agent", "test/1")
            .header("referer", "https://a.example/");
        if !range.is_empty() {
            request = request.header("range", range);
        }
        answer(if method == "PUT" {
            request.body("0123456789")
        } else {
            request
        })
        .await
    };
    let stored = send("PUT", &put, "r-put", "").await.json();
    send("GET", &get, "r-get", "").await;
    receiver.events(2).await;
    send("GET", &get, "r-range", "bytes=2-4").await;
    receiver.events(3).await;
    send("HEAD", &get, "r-head", "").await;
    receiver.events(4).await;
    send("HEAD", &put, "r-head-of-put", "").await;

    let events = receiver.events(5).await;
    let expected = [
        ("PUT", 200, 10, "", "r-put", &put),
        ("GET", 200, 10, "", "r-get", &get),
        ("GET", 206, 3, "bytes=2-4", "r-range", &get),
        ("HEAD", 200, 10, "", "r-head", &get),
        ("HEAD", 200, 10, "", "r-head-of-put", &put),
    ];
    for (method, status, size, range, id, token) in expected {
        let event = events
            .iter()
            .find(|event| event["request_id"] == id)
            .unwrap();
        let names: Vec<_> = event
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(names, FIELDS);
        let token_id = gateway.record(token).await["token_id"].clone();
        for (field, value) in [
            ("event", json!("asset.access")),
            ("method", json!(method)),
            ("status", json!(status)),
            ("bucket", json!("local")),
            ("key", json!("dir/k")),
            ("size", json!(size)),
            ("etag", stored["etag"].clone()),
            ("range", json!(range)),
            ("client_ip", json!("127.0.0.1")),
            ("user_agent", json!("test/1")),
            ("referer", json!("https://a.example/")),
            ("token_id", token_id),
            ("metadata", json!({"order": "7"})),
            ("outcome", json!("complete")),
        ] {
            assert_eq!(event[field], value, "{field} of {event}");
        }
        assert!((now(-60)..=now(0)).contains(&event["timestamp"].as_i64().unwrap()));
        assert!(event["event_id"].as_str().unwrap().starts_with("evt_"));
        assert!(!event.to_string().contains(token.as_str()));
    }
    for Attempt { headers, event, .. } in receiver.attempts() {
        assert_eq!(headers["webhook-id"], event["event_id"].as_str().unwrap());
        assert_eq!(headers["content-type"], "application/json");
        let stamp: i64 = headers["webhook-timestamp"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((now(-60)..=now(0)).contains(&stamp));
    }
}

#[tokio::test]
async fn failed_accesses_are_not_reported() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    gateway.place("k", "0123456789");
    let fields = json!({"callback": receiver.url(), "max_hits": 1});
    let get = gateway.token("GET", "k").with(fields.clone()).await;
    let absent = gateway.token("GET", "absent").with(fields.clone()).await;
    let put = gateway
        .token("PUT", "new")
        .with(json!({"callback": receiver.url(), "size": 3}))
        .await;
    gateway
        .get(&absent)
        .await
        .assert_error(404, "object_not_found");
    gateway.head(&absent).await;
    for (name, value) in [
        ("if-none-match", "*"),
        ("range", "bytes=99-"),
        ("if-match", "\"x\""),
    ] {
        let request = gateway.object("GET", &get).header(name, value);
        assert_ne!(answer(request).await.status, 200);
        answer(gateway.object("HEAD", &get).header("if-none-match", "*")).await;
    }
    gateway
        .put(&put, "too large")
        .await
        .assert_error(413, "size_exceeded");
    let wrong = gateway
        .object("PUT", &put)
        .header("content-md5", "kAFQmDzST7DWlj99KOF/cg==");
    answer(wrong.body("x"))
        .await
        .assert_error(400, "bad_digest");
    // This one is reported; an earlier one would have arrived before it.
    assert_eq!(gateway.get(&get).await.status, 200);
    let event = receiver.events(1).await.remove(0);
    assert_eq!(
        (&event["method"], &event["status"]),
        (&json!("GET"), &json!(200))
    );
    gateway.get(&get).await.assert_error(409, "hits_exceeded");
    assert_eq!(gateway.put(&put, "yes").await.status, 200);
    assert_eq!(receiver.events(2).await[1]["method"], "PUT");
}
