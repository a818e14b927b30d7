//! HEAD requests, which count no hit, must not fill the queue.

use serde_json::json;

use crate::support::api::answer;
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

#[tokio::test]
async fn head_requests_of_a_used_up_token_are_not_reported() {
    let (gateway, receiver) = (Gateway::start(), CallbackReceiver::start().await);
    gateway.place("k", "0123456789");
    let fields = json!({"callback": receiver.url(), "max_hits": 1});
    let used_up = gateway.token("GET", "k").with(fields.clone()).await;
    let other = gateway.token("GET", "k").with(fields).await;
    assert_eq!(gateway.get(&used_up).await.status, 200);
    receiver.events(1).await;
    for _ in 0..50 {
        assert_eq!(gateway.head(&used_up).await.status, 200);
    }
    // An event that was queued before would arrive before this one.
    assert_eq!(gateway.get(&other).await.status, 200);
    let events = receiver.events(2).await;
    assert!(
        events.iter().all(|event| event["method"] == "GET"),
        "{events:?}"
    );
}

#[tokio::test]
async fn head_requests_are_reported_once_a_minute_per_client() {
    let trusting = json!({"listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"]});
    let gateway = Gateway::with(json!({"server": trusting}));
    let receiver = CallbackReceiver::start().await;
    gateway.place("k", "0123456789");
    let fields = json!({"callback": receiver.url(), "max_hits": 9});
    let first = gateway.token("GET", "k").with(fields.clone()).await;
    let second = gateway.token("GET", "k").with(fields).await;
    for number in 0..30 {
        for token in [&first, &second] {
            for client in ["203.0.113.1", "203.0.113.2", "unknown"] {
                let head = gateway
                    .object("HEAD", token)
                    .header("x-forwarded-for", client)
                    // A made-up user agent does not make a new client.
                    .header("user-agent", format!("agent/{number}"));
                assert_eq!(answer(head).await.status, 200);
            }
        }
    }
    assert_eq!(gateway.get(&first).await.status, 200);
    // One for each client and token, and the GET.
    let events = receiver.events(7).await;
    let heads = events.iter().filter(|event| event["method"] == "HEAD");
    assert_eq!(heads.count(), 6);
    for client in ["203.0.113.1", "203.0.113.2", "unknown"] {
        let of_it = events.iter().filter(|event| event["client_ip"] == client);
        assert_eq!(of_it.count(), 2, "{client}");
    }
}
