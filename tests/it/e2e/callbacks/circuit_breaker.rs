//! A failing receiver can fill half of the queue, and no more.

use serde_json::json;

use crate::support::api::{answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;

const MAX_PENDING: u64 = 60;

#[tokio::test]
async fn a_failing_receiver_leaves_half_of_the_queue_to_others() {
    let (failing, well) = (
        CallbackReceiver::start().await,
        CallbackReceiver::start().await,
    );
    failing.answer(500);
    let callback = json!({"max_pending": MAX_PENDING, "retry_seconds": [3600]});
    let gateway = Gateway::with(json!({"callback": callback}));
    gateway.place("k", "bytes");
    let fields =
        |receiver: &CallbackReceiver| json!({"callback": receiver.url(), "max_hits": 1000});
    let get = gateway.token("GET", "k").with(fields(&failing)).await;
    let put = gateway.token("PUT", "new").with(fields(&failing)).await;

    until("refused", async || gateway.get(&get).await.status == 503).await;
    let used = gateway.used_hits(&get).await;
    // Some were admitted before the breaker saw the last failures.
    assert!((MAX_PENDING / 2..MAX_PENDING).contains(&used), "{used}");
    for refused in [gateway.get(&get).await, gateway.put(&put, "x").await] {
        refused.assert_error(503, "unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(gateway.head(&get).await.status, 503);
    assert_eq!(gateway.used_hits(&get).await, used);
    assert_eq!(gateway.used_hits(&put).await, 0);
    assert_eq!(gateway.files(), ["k"]);
    let failing_hosts = "asset_gateway_callback_receivers_failing 1";
    until("the metric", async || {
        gateway.scrape().await.contains(failing_hosts)
    })
    .await;

    // Accesses for a healthy or an untried receiver are served.
    let other = gateway.token("GET", "k").with(fields(&well)).await;
    for count in 1..=20 {
        assert_eq!(gateway.get(&other).await.status, 200);
        well.all(count).await;
    }

    // One successful delivery closes the breaker.
    failing.answer(204);
    let page = answer(gateway.control("GET", "/callbacks?state=pending&limit=1")).await;
    let id = page.json()["callbacks"][0]["id"].clone();
    let path = format!("/callbacks/{}/replay", id.as_str().unwrap());
    assert_eq!(answer(gateway.control("POST", &path)).await.status, 200);
    until("the breaker is closed", async || {
        gateway.get(&get).await.status == 200
    })
    .await;
}
