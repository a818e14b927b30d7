//! Callback bodies from a token's template.

use serde_json::{Value, json};

use crate::support::api::answer;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The decoded fields of a form.
fn fields(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

#[tokio::test]
async fn a_form_template_is_filled_as_oss_fills_it() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    let template = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}\
                    &method=${method}&ip=${clientIp}&req=${reqId}&my_var=${x:my_var}&no=${x:no}";
    let token = gateway
        .token("PUT", "dir/报告 1+1&2.pdf")
        .with(
            json!({"callback": receiver.url(), "callback_body": template,
                "metadata": {"my_var": "a=b&c%20\"d\""}}),
        )
        .await;
    let put = gateway
        .object("PUT", &token)
        .header("content-type", "application/pdf")
        .header("x-request-id", "r-1");
    let stored = answer(put.body("0123456789")).await;
    assert_eq!(stored.status, 200);
    let one = receiver.all(1).await.remove(0);
    assert_eq!(one.headers["content-type"], FORM);
    assert!(
        one.headers["webhook-id"]
            .to_str()
            .unwrap()
            .starts_with("evt_")
    );
    let etag = stored.json()["etag"].as_str().unwrap().to_owned();
    let expected = [
        ("bucket", "local"),
        ("object", "dir/报告 1+1&2.pdf"),
        ("etag", &etag),
        ("size", "10"),
        ("mimeType", "application/pdf"),
        ("method", "PUT"),
        ("ip", "127.0.0.1"),
        ("req", "r-1"),
        ("my_var", "a=b&c%20\"d\""),
        ("no", ""),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(fields(&one.body), expected);
}

#[tokio::test]
async fn a_json_template_is_filled_for_every_method() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    let with = json!({"callback": receiver.url(), "callback_body_type": JSON,
        "callback_body": r#"{"m":${method},"o":${object},"s":${size},"t":${mimeType},"x:n":${x:n},"u":"/${object}?${size}"}"#,
        "metadata": {"n": "\"quoted\" \\ 报告\n"}});
    let put = gateway.token("PUT", "a/\"k\".txt").with(with.clone()).await;
    let get = gateway.token("GET", "a/\"k\".txt").with(with).await;
    let upload = gateway
        .object("PUT", &put)
        .header("content-type", "text/plain");
    assert_eq!(answer(upload.body("0123456789")).await.status, 200);
    receiver.all(1).await;
    let part = gateway.object("GET", &get).header("range", "bytes=2-4");
    assert_eq!(answer(part).await.status, 206);
    receiver.all(2).await;
    assert_eq!(gateway.head(&get).await.status, 200);
    let tries = receiver.all(3).await;
    for (one, (method, size)) in tries.iter().zip([("PUT", 10), ("GET", 3), ("HEAD", 10)]) {
        assert_eq!(one.headers["content-type"], JSON);
        let body: Value = serde_json::from_slice(&one.body).unwrap();
        let expected = json!({"m": method, "o": "a/\"k\".txt", "s": size, "t": "text/plain",
            "x:n": "\"quoted\" \\ 报告\n", "u": format!("/a/\"k\".txt?{size}")});
        assert_eq!(body, expected);
    }
}

/// The metadata may change between the token's creation and the access.
#[tokio::test]
async fn a_template_uses_the_metadata_at_the_time_of_the_access() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    let with =
        json!({"callback": receiver.url(), "callback_body": "n=${x:n}", "metadata": {"n": "1"}});
    let token = gateway.token("PUT", "k").with(with).await;
    let changed = gateway.patch(&token, json!({"metadata": {"n": "2"}})).await;
    assert_eq!(changed.json()["callback_body"], "n=${x:n}");
    assert_eq!(gateway.put(&token, "x").await.status, 200);
    assert_eq!(receiver.all(1).await[0].body, "n=2");
}

#[tokio::test]
async fn a_template_is_shown_and_its_errors_are_named() {
    let gateway = Gateway::start();
    let hook = "https://h.example/";
    let asked = json!({"callback": hook, "callback_body": "s=${size}", "callback_mode": "async"});
    let shown = gateway
        .record(&gateway.token("GET", "k").with(asked).await)
        .await;
    assert_eq!(shown["callback_body"], "s=${size}");
    assert_eq!(shown["callback_body_type"], FORM);
    assert_eq!(shown["callback_mode"], "async");
    let plain = gateway.record(&gateway.token("GET", "k").await).await;
    assert!(plain.get("callback_body").is_none() && plain.get("callback_body_type").is_none());

    for (with, says) in [
        (
            json!({"callback_body": "a=${imageInfo.width}"}),
            "callback_body: unknown variable `${imageInfo.width}`",
        ),
        (
            json!({"callback_body": "a=${size"}),
            "callback_body: a `${` is not closed",
        ),
        (
            json!({"callback_body": "x".repeat(5121)}),
            "callback_body: at most 5120 bytes",
        ),
        (
            json!({"callback_body": "a=${size}", "callback_body_type": JSON}),
            "callback_body: is not JSON",
        ),
        (
            json!({"callback_body": "a", "callback_body_type": "text/plain"}),
            "callback_body_type: must be one of",
        ),
        (
            json!({"callback_body_type": JSON}),
            "callback_body_type: needs a callback_body",
        ),
        (
            json!({"callback_body": "a", "callback": null}),
            "callback_body: needs a callback",
        ),
        (json!({"callback_body": 5}), "callback_body"),
        (
            json!({"callback_mode": "later"}),
            "callback_mode: must be one of async, sync",
        ),
    ] {
        let mut body = json!({"key": "k", "method": "PUT", "callback": hook});
        for (field, value) in with.as_object().unwrap() {
            body[field] = value.clone();
        }
        let refused = gateway.create(body).await;
        refused.assert_error(400, "bad_request").says(says);
    }
    let token = gateway.token("GET", "k").callback(hook).await;
    let changed = gateway.patch(&token, json!({"callback_body": "a"})).await;
    changed
        .assert_error(400, "bad_request")
        .says("`callback_body`");
}
