//! Which clients may use a token, and from when.

use serde_json::{Value, json};

use crate::support::api::{answer, now, until};
use crate::support::gateway::Gateway;

#[tokio::test]
async fn not_before() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let fields = json!({"not_before": now(2), "max_hits": 1});
    let token = gateway.token("GET", "k").with(fields.clone()).await;
    gateway.get(&token).await.assert_error(403, "access_denied");
    assert_eq!(gateway.head(&token).await.status, 403);
    let upload = gateway.token("PUT", "new").with(fields).await;
    gateway
        .put(&upload, "x")
        .await
        .assert_error(403, "access_denied");
    assert_eq!(gateway.files(), ["k"]);
    until("it begins", async || {
        gateway.head(&token).await.status == 200
    })
    .await;
    assert_eq!(gateway.get(&token).await.status, 200);
    assert_eq!(gateway.put(&upload, "x").await.status, 200);
}

fn trusting() -> Value {
    json!({"server": {"listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]}})
}

#[tokio::test]
async fn allowed_ips_apply_to_clients_behind_a_trusted_proxy() {
    let gateway = Gateway::with(trusting());
    gateway.place("k", "bytes");
    let fields = json!({"allowed_ips": ["203.0.113.0/24", "2001:db8::/32"], "max_hits": 100});
    let token = gateway.token("GET", "k").with(fields).await;
    let mut delivered = 0;
    for (forwarded, status) in [
        (&[][..], 403),
        (&["203.0.113.9"], 200),
        (&["2001:db8::1"], 200),
        (&["[2001:db8::1]:443"], 200),
        (&["::ffff:203.0.113.9"], 200),
        (&["198.51.100.1"], 403),
        // The last address that is no trusted proxy's.
        (&["203.0.113.9, 198.51.100.1"], 403),
        (&["198.51.100.1, 203.0.113.9"], 200),
        (&["198.51.100.1, 203.0.113.9, 10.1.2.3"], 200),
        (&["198.51.100.1", "203.0.113.9"], 200),
        (&["203.0.113.9, junk"], 403),
    ] {
        let request = forwarded
            .iter()
            .fold(gateway.object("GET", &token), |request, line| {
                request.header("x-forwarded-for", *line)
            });
        let got = answer(request).await;
        assert_eq!(got.status, status, "{forwarded:?}");
        match status {
            200 => delivered += 1,
            _ => drop(got.assert_error(403, "access_denied").clone()),
        }
        assert_eq!(gateway.used_hits(&token).await, delivered);
    }
}

#[tokio::test]
async fn ipv4_mapped_networks_are_ipv4_networks() {
    let gateway = Gateway::with(trusting());
    gateway.place("k", "bytes");
    for (network, forwarded, status) in [
        ("::ffff:203.0.113.0/120", "203.0.113.9", 200),
        ("::ffff:203.0.113.0/120", "::ffff:203.0.113.9", 200),
        ("::ffff:203.0.113.0/120", "203.0.114.9", 403),
        ("::ffff:203.0.113.0/120", "2001:db8::1", 403),
        ("::ffff:cb00:7109", "203.0.113.9", 200),
        ("::ffff:cb00:7109", "203.0.113.8", 403),
        ("::ffff:0:0/96", "203.0.113.9", 200),
        ("::ffff:0:0/96", "2001:db8::1", 403),
        ("::ffff:0:0/90", "203.0.113.9", 200),
        ("::ffff:0:0/90", "::ffc0:0:1", 200),
        ("::ffff:0:0/90", "2001:db8::1", 403),
        // Every address of IPv6, and none of IPv4.
        ("::/0", "2001:db8::1", 200),
        ("::/0", "203.0.113.9", 403),
    ] {
        let fields = json!({"allowed_ips": [network]});
        let token = gateway.token("GET", "k").with(fields).await;
        let request = gateway
            .object("GET", &token)
            .header("x-forwarded-for", forwarded);
        let got = answer(request).await;
        assert_eq!(got.status, status, "{network} {forwarded}");
    }
}

#[tokio::test]
async fn forwarded_addresses_of_untrusted_peers_are_ignored() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let other = gateway
        .token("GET", "k")
        .with(json!({"allowed_ips": ["203.0.113.9"]}))
        .await;
    let forged = gateway
        .object("GET", &other)
        .header("x-forwarded-for", "203.0.113.9");
    answer(forged).await.assert_error(403, "access_denied");
    let here = gateway
        .token("GET", "k")
        .with(json!({"allowed_ips": ["127.0.0.1"]}))
        .await;
    let forged = gateway
        .object("GET", &here)
        .header("x-forwarded-for", "203.0.113.9");
    assert_eq!(answer(forged).await.status, 200);
    assert!(!gateway.log().contains("203.0.113.9"));
}

#[tokio::test]
async fn referers() {
    let gateway = Gateway::start();
    gateway.place("k", "bytes");
    let fields = json!({"allowed_referers": ["https://a.example/shop/"]});
    let token = gateway.token("GET", "k").with(fields.clone()).await;
    let upload = gateway.token("PUT", "new").with(fields).await;
    for (referer, status) in [
        ("", 403),
        ("https://a.example/shop/1", 200),
        ("https://a.example/", 403),
        ("https://a.example.evil.test/shop/", 403),
        ("http://a.example/shop/", 403),
        ("nonsense", 403),
    ] {
        let with = |method| {
            let request = gateway.object(method, &token);
            if referer.is_empty() {
                request
            } else {
                request.header("referer", referer)
            }
        };
        assert_eq!(answer(with("GET")).await.status, status, "{referer}");
        assert_eq!(answer(with("HEAD")).await.status, status, "{referer}");
    }
    gateway
        .put(&upload, "x")
        .await
        .assert_error(403, "access_denied");
    let right = gateway
        .object("PUT", &upload)
        .header("referer", "https://a.example/shop/");
    assert_eq!(answer(right.body("x")).await.status, 200);
}
