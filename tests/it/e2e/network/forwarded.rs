//! Client addresses behind trusted proxies.

use serde_json::{Value, json};

use crate::support::api::{Answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::raw;

fn trusting() -> Value {
    json!({"listen": "127.0.0.1:0", "trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]})
}

async fn get(gateway: &Gateway, token: &str, lines: &[&[u8]]) -> Answer {
    raw::request(gateway.port, &format!("GET /object/{token}"), lines, b"").await
}

fn shown(lines: &[&[u8]]) -> String {
    let lines = lines.iter().map(|line| line.escape_ascii().to_string());
    lines.collect::<Vec<_>>().join(" | ")
}

/// The proxies' networks are allowed, so that a fallback to the peer's address would admit a client.
#[tokio::test]
async fn an_unreadable_hop_is_not_an_allowed_address() {
    let gateway = Gateway::with(json!({"server": trusting()}));
    gateway.place("k", "bytes");
    let allowed = json!(["0.0.0.0/0", "::/0"]);
    let fields = json!({"allowed_ips": allowed, "max_hits": 1});
    let token = gateway.token("GET", "k").with(fields).await;
    let lines: [&[&[u8]]; 17] = [
        &[b"X-Forwarded-For: \xff"],
        &[b"X-Forwarded-For: 203.0.113.9, \xff"],
        &[b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-For: \xff"],
        &[b"X-Forwarded-For: 203.0.113.9\xff"],
        &[b"X-Forwarded-For: 203.0.113.9, \xff, 10.0.0.1"],
        &[b"X-Forwarded-For: unknown"],
        &[b"X-Forwarded-For: 203.0.113.9, _hidden"],
        &[b"X-Forwarded-For: 203.0.113.9, "],
        &[b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-For:"],
        &[b"X-Forwarded-For: 203.0.113.009"],
        &[b"X-Forwarded-For: 203.0.113.9:99999"],
        &[b"X-Forwarded-For: [203.0.113.9]"],
        &[b"Forwarded: for=unknown"],
        &[b"Forwarded: for=203.0.113.9, for=_hidden"],
        &[b"Forwarded: for=203.0.113.9, proto=https"],
        &[b"Forwarded: for=203.0.113.9;for=203.0.113.9"],
        &[b"Forwarded: for=203.0.113.9, for=\xff"],
    ];
    for lines in lines {
        let refused = get(&gateway, &token, lines).await;
        assert_eq!(refused.status, 403, "{}", shown(lines));
        refused.assert_error(403, "access_denied");
    }
    assert_eq!(gateway.used_hits(&token).await, 0);
    let access = async || gateway.logged_accesses("/object/{token}");
    until("every access is logged", async || {
        access().await.len() == lines.len()
    })
    .await;
    let access = access().await;
    assert!(
        access
            .iter()
            .all(|line| line["client.address"] == "unknown")
    );
}

#[tokio::test]
async fn every_form_of_an_address_is_parsed() {
    let gateway = Gateway::with(json!({"server": trusting()}));
    gateway.place("k", "bytes");
    let fields = json!({"allowed_ips": ["203.0.113.0/24", "2001:db8::/32", "fe80::/64"]});
    let token = gateway.token("GET", "k").with(fields).await;
    let cases: [(&[&[u8]], u16); 29] = [
        (&[b"X-Forwarded-For: 203.0.113.9:5555"], 200),
        (&[b"X-Forwarded-For: \"203.0.113.9\""], 200),
        (&[b"X-Forwarded-For: [2001:db8::1]"], 200),
        (&[b"X-Forwarded-For: [2001:db8::1]:443"], 200),
        (&[b"X-Forwarded-For: \"[2001:db8::1]:443\""], 200),
        (&[b"X-Forwarded-For: fe80::1%eth0"], 200),
        (&[b"X-Forwarded-For: [fe80::1%25eth0]:80"], 200),
        (&[b"X-Forwarded-For:\t203.0.113.9 \t, \t10.0.0.1"], 200),
        (&[b"X-Forwarded-For: 198.51.100.1, 203.0.113.9:1"], 200),
        (&[b"X-Forwarded-For: 203.0.113.9, 198.51.100.1:1"], 403),
        (&[b"X-Forwarded-For: \xff, 203.0.113.9"], 200),
        (
            &[b"X-Forwarded-For: \xff", b"X-Forwarded-For: 203.0.113.9"],
            200,
        ),
        (
            &[
                b"X-Forwarded-For: 203.0.113.9, 10.9.9.9",
                b"X-Forwarded-For: 10.0.0.1",
            ],
            200,
        ),
        (&[b"Forwarded: for=203.0.113.9"], 200),
        (&[b"Forwarded: FOR=\"203.0.113.9:80\""], 200),
        (&[b"Forwarded: for=\"[2001:db8::1]\""], 200),
        (
            &[b"Forwarded: proto=https;for=\"[2001:db8::1]:_p\";by=10.0.0.1"],
            200,
        ),
        (&[b"Forwarded: for = 203.0.113.9"], 403),
        (&[b"Forwarded: for=\"\\203.0.113.9\""], 200),
        (&[b"Forwarded: for=198.51.100.1, for=203.0.113.9"], 200),
        (
            &[
                b"Forwarded: for=198.51.100.1",
                b"Forwarded: for=203.0.113.9, for=10.0.0.1",
            ],
            200,
        ),
        (&[b"Forwarded: for=203.0.113.9, for=198.51.100.1"], 403),
        // A client's open quotation mark does not hide the proxy's entry.
        (&[b"Forwarded: for=\", for=203.0.113.9"], 200),
        (&[b"Forwarded: for=203.0.113.9;x=\", for=198.51.100.1"], 403),
        (
            &[b"Forwarded: for=203.0.113.9;x=\"\\, for=198.51.100.1"],
            403,
        ),
        // It is unknown which of the two the proxy wrote.
        (
            &[
                b"X-Forwarded-For: 203.0.113.9",
                b"Forwarded: for=198.51.100.1",
            ],
            403,
        ),
        (
            &[
                b"X-Forwarded-For: 198.51.100.1",
                b"Forwarded: for=203.0.113.9",
            ],
            403,
        ),
        (
            &[
                b"X-Forwarded-For: 203.0.113.9",
                b"Forwarded: for=203.0.113.77",
            ],
            403,
        ),
        (
            &[
                b"X-Forwarded-For: 203.0.113.9",
                b"Forwarded: for=\"203.0.113.9:4\"",
            ],
            200,
        ),
    ];
    for (lines, status) in cases {
        let got = get(&gateway, &token, lines).await;
        assert_eq!(got.status, status, "{}", shown(lines));
    }
}

#[tokio::test]
async fn clients_with_unreadable_addresses_share_one_rate_limit() {
    let limits = json!({"requests_per_second_per_client": 2});
    let gateway = Gateway::with(json!({"server": trusting(), "limits": limits}));
    let mut statuses = Vec::new();
    for n in 0..8 {
        let made_up = format!("X-Forwarded-For: 203.0.113.{n}");
        let lines: [&[u8]; 2] = [made_up.as_bytes(), b"X-Forwarded-For: \xff"];
        statuses.push(get(&gateway, "unknown", &lines).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let other = get(&gateway, "unknown", &[b"X-Forwarded-For: 203.0.113.9"]).await;
    other.assert_error(404, "token_not_found");
}

#[tokio::test]
async fn clients_with_unreadable_addresses_do_not_share_a_hit_window() {
    let gateway = Gateway::with(json!({"server": trusting()}));
    let receiver = CallbackReceiver::start().await;
    gateway.place("k", "bytes");
    let fields = json!({"hit_window": 600, "max_hits": 9, "callback": receiver.url()});
    let token = gateway.token("GET", "k").with(fields).await;
    for _ in 0..2 {
        let got = get(&gateway, &token, &[b"X-Forwarded-For: _hidden"]).await;
        assert_eq!(got.status, 200);
    }
    assert_eq!(gateway.used_hits(&token).await, 2);
    let events = receiver.events(2).await;
    assert!(events.iter().all(|event| event["client_ip"] == "unknown"));
}
