//! Secrets stay out of logs and of the store's files.

use serde_json::json;

use crate::support::api::{CONTROL, answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::raw;

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn logs_and_store_files_contain_no_usable_token() {
    let receiver = CallbackReceiver::start().await;
    receiver.answer(500);
    let gateway = Gateway::with(json!({"callback": {"retry_seconds": [1]}}));
    let fields = json!({"callback": format!("{}?password=in-the-callback", receiver.url()),
        "max_hits": 50, "metadata": {"m": "metadata-is-no-secret"}});
    let put = gateway.token("PUT", "dir/k").with(fields.clone()).await;
    let get = gateway.token("GET", "dir/k").with(fields).await;
    let custom = gateway
        .token("GET", "dir/k")
        .with(json!({"token": "a-custom-token-of-mine"}))
        .await;
    let content = "the-bytes-of-the-object";
    for token in [&put, &get, &custom] {
        gateway.put(token, content).await;
        gateway.get(token).await;
        gateway.head(token).await;
        gateway.status(token).await;
        let odd = gateway.object("GET", token).header("range", "bytes=99-");
        answer(odd).await;
        answer(gateway.object("POST", token)).await;
        answer(
            gateway
                .control("PATCH", &format!("/token/{token}"))
                .body(token.clone()),
        )
        .await;
        gateway.patch(token, json!({token: 1})).await;
        let first = format!("GET /object/{token}");
        raw::request(gateway.port, &first, &[b"Broken Header"], b"").await;
        raw::request(gateway.port, &format!("{first}/more"), &[], b"").await;
        raw::exchange(gateway.port, format!("{first} HTTP/9.9\r\n\r\n")).await;
    }
    answer(
        gateway
            .control("GET", "/tokens")
            .header("authorization", CONTROL),
    )
    .await;
    answer(gateway.control("POST", "/token").body(CONTROL)).await;
    until("a failed attempt", async || {
        gateway.log().contains("callback failed")
    })
    .await;

    let stopped = gateway.stop();
    let mut places = vec![("the log".to_owned(), stopped.log.clone().into_bytes())];
    let mut folders = vec![stopped.folder().join("tokens")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    assert!(places.len() > 1);
    for secret in [CONTROL, &put, &get, &custom, content] {
        for (place, bytes) in &places {
            assert!(!holds(bytes, secret), "{secret} stands in {place}");
        }
    }
    assert!(!stopped.log.contains("in-the-callback"));
}

#[tokio::test]
async fn every_request_has_one_access_line_with_its_token_id() {
    let gateway = Gateway::start();
    gateway.place("k", "0123456789");
    let created = gateway
        .create(json!({"key": "k", "method": "GET"}))
        .await
        .json();
    let token = created["token"].as_str().unwrap();
    let request = gateway
        .object("GET", token)
        .header("x-request-id", "find-me");
    answer(request.header("range", "bytes=2-4")).await;
    let missing = gateway
        .object("GET", "unknown")
        .header("x-request-id", "and-me");
    answer(missing).await;
    until("both lines", async || {
        let log = gateway.log();
        log.contains("find-me") && log.contains("and-me")
    })
    .await;
    let log = gateway.log();
    let line = |id: &str| -> serde_json::Value {
        let mut lines = log.lines().filter(|line| line.contains(id));
        let line = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert!(lines.next().is_none(), "{log}");
        line
    };
    let found = line("find-me");
    for (field, value) in [
        ("token_id", created["token_id"].clone()),
        ("http.route", json!("/object/{token}")),
        ("http.request.method", json!("GET")),
        ("http.response.status_code", json!(206)),
        ("http.response.body.size", json!(3)),
        ("client.address", json!("127.0.0.1")),
    ] {
        assert_eq!(found[field], value, "{field} of {found}");
    }
    let missed = line("and-me");
    assert_eq!(
        (&missed["http.response.status_code"], &missed["error.type"]),
        (&json!(404), &json!("token_not_found"))
    );
}
