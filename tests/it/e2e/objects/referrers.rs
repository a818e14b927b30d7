//! Links are secrets: browsers do not send them as `Referer`, and events do not contain them.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::api::{Answer, answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::raw;

#[track_caller]
fn assert_no_referrer(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("referrer-policy"),
        Some("no-referrer"),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("x-content-type-options"),
        Some("nosniff"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn every_answer_has_referrer_policy_no_referrer() {
    let gateway = Gateway::with(json!({
        "cors": {"allowed_origins": ["https://app.example"]},
        "limits": {"header_read_seconds": 1},
    }));
    gateway.place("k", "bytes");
    let get = gateway.token("GET", "k").await;
    let put = gateway.token("PUT", "new").set("size", 5).await;
    let gone = gateway.token("GET", "gone").await;
    let got = gateway.get(&get).await;
    assert_no_referrer(&got, 200);
    assert_no_referrer(&gateway.head(&get).await, 200);
    let with = async |name: &str, value: &str| {
        answer(gateway.object("GET", &get).header(name, value)).await
    };
    assert_no_referrer(&with("range", "bytes=1-2").await, 206);
    assert_no_referrer(&with("range", "bytes=99-").await, 416);
    assert_no_referrer(
        &with("if-none-match", got.header("etag").unwrap()).await,
        304,
    );
    assert_no_referrer(&with("if-match", "\"other\"").await, 412);
    assert_no_referrer(&gateway.get(&gone).await, 404);
    assert_no_referrer(&gateway.get("unknown").await, 404);
    assert_no_referrer(&gateway.get("a/b").await, 404);
    assert_no_referrer(&gateway.put(&get, "x").await, 405);
    assert_no_referrer(&gateway.put(&put, "too long").await, 413);
    assert_no_referrer(&gateway.put(&put, "short").await, 200);
    assert_no_referrer(&answer(gateway.object("POST", &get)).await, 405);
    let preflight = gateway
        .object("OPTIONS", &put)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT");
    assert_no_referrer(&answer(preflight).await, 200);

    // Answers that no handler makes.
    let first = format!("GET /object/{get}");
    let broken = raw::request(gateway.port, &first, &[b"Broken Header"], b"").await;
    assert_no_referrer(&broken, 400);
    let long = format!("X-Long: {}", "x".repeat(1 << 20));
    let long = raw::request(gateway.port, &first, &[long.as_bytes()], b"").await;
    assert_no_referrer(&long, 431);
    let mut slow = raw::connect(gateway.port).await;
    slow.write_all(format!("{first} HTTP/1.1\r\n").as_bytes())
        .await
        .unwrap();
    assert_no_referrer(&raw::read_to_end(&mut slow).await, 408);

    // The client keeps its connection and reaches the limit.
    let full = Gateway::with(json!({"limits": {"max_connections": 1}}));
    assert_no_referrer(&full.get("unknown").await, 404);
    let mut refused = raw::connect(full.port).await;
    assert_no_referrer(&raw::read_to_end(&mut refused).await, 503);
}

#[tokio::test]
async fn the_referer_of_an_event_contains_no_link() {
    let receiver = CallbackReceiver::start().await;
    let gateway = Gateway::with(json!({
        "server": {"listen": "127.0.0.1:0", "host": "https://gateway.example"},
    }));
    gateway.place("k", "bytes");
    let fields = json!({"callback": receiver.url()});
    let token = gateway.token("GET", "k").with(fields.clone()).await;
    let custom = json!({"token": "mine", "callback": receiver.url()});
    let custom = gateway.token("GET", "k").with(custom).await;
    let form = "AbCdEfGhIjKlMnOpQrStUvWxYz-_";
    assert_eq!(token.len(), form.len());
    let encoded =
        |url: &str| -> String { url::form_urlencoded::byte_serialize(url.as_bytes()).collect() };
    let link = format!("https://gateway.example/object/{token}");
    let here = format!("http://127.0.0.1:{}", gateway.port);
    let expected = [
        // Addresses of other sites' pages are reported.
        (
            "https://page.example/a?b=c".to_owned(),
            "https://page.example/a?b=c",
        ),
        (
            "https://gateway.example:8443/x".to_owned(),
            "https://gateway.example:8443/x",
        ),
        (String::new(), ""),
        // Our own origin.
        (link.clone(), "https://gateway.example"),
        (
            "https://GATEWAY.example:443/u?x#y".to_owned(),
            "https://GATEWAY.example:443",
        ),
        (
            "http://gateway.example/any".to_owned(),
            "http://gateway.example",
        ),
        (format!("{here}/any/path"), here.as_str()),
        // Anything that looks like a link, at any position.
        (
            format!("https://other.example/object/{form}"),
            "https://other.example",
        ),
        (
            "https://other.example/u/short".to_owned(),
            "https://other.example",
        ),
        (
            "https://other.example/object/short".to_owned(),
            "https://other.example",
        ),
        (
            format!("https://portal.example/?t={form}&x"),
            "https://portal.example",
        ),
        (
            format!("https://portal.example/#{token}"),
            "https://portal.example",
        ),
        (
            format!("https://portal.example/?next={}", encoded(&link)),
            "https://portal.example",
        ),
        (
            format!("https://portal.example/?next={}", encoded(&encoded(&link))),
            "https://portal.example",
        ),
        (format!("https://user:{form}@portal.example/"), ""),
        (format!("about:{form}"), ""),
        (token.clone(), ""),
    ];
    for (referer, kept) in &expected {
        let seen = receiver.attempts().len();
        let request = gateway.object("GET", &token);
        let got = answer(request.header("referer", referer)).await;
        assert_eq!(got.status, 200);
        until("the event", async || receiver.attempts().len() > seen).await;
        let event = receiver.received().pop().unwrap();
        assert_eq!(event["referer"], *kept, "{referer}");
    }
    let seen = receiver.attempts().len();
    let head = gateway.object("HEAD", &token).header("referer", &link);
    assert_eq!(answer(head).await.status, 200);
    let put = gateway.token("PUT", "new").with(fields).await;
    let upload = gateway.object("PUT", &put).header("referer", &link);
    assert_eq!(answer(upload.body("x")).await.status, 200);
    until("both events", async || {
        receiver.attempts().len() >= seen + 2
    })
    .await;
    for event in receiver.received().split_off(seen) {
        assert_eq!(event["referer"], "https://gateway.example", "{event}");
    }
    // A token that the caller chose is recognised by its value.
    for (referer, kept) in [
        ("https://portal.example/?t=mine", "https://portal.example"),
        ("https://portal.example/mine", "https://portal.example"),
        (
            "https://portal.example/mines",
            "https://portal.example/mines",
        ),
    ] {
        let seen = receiver.attempts().len();
        let request = gateway.object("GET", &custom);
        assert_eq!(answer(request.header("referer", referer)).await.status, 200);
        until("the event", async || receiver.attempts().len() > seen).await;
        let event = receiver.received().pop().unwrap();
        assert_eq!(event["referer"], kept, "{referer}");
    }
    assert!(!gateway.log().contains(&token));
}

#[tokio::test]
async fn referer_rules_see_the_complete_header() {
    let gateway = Gateway::with(json!({
        "server": {"listen": "127.0.0.1:0", "host": "https://gateway.example"},
    }));
    gateway.place("k", "bytes");
    let allowed = "https://gateway.example/pages/";
    let fields = json!({"allowed_referers": [allowed]});
    let token = gateway.token("GET", "k").with(fields).await;
    for (referer, status) in [
        ("https://gateway.example/pages/1", 200),
        ("https://gateway.example/other", 403),
    ] {
        let request = gateway.object("GET", &token).header("referer", referer);
        assert_eq!(answer(request).await.status, status, "{referer}");
    }
}
