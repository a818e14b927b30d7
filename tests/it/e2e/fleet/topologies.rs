//! A gateway on what else Redis can be: a cluster, sentinels with a replica, a password.

use serde_json::{Value, json};

use crate::support::api::{answer, until};
use crate::support::callback_receiver::CallbackReceiver;
use crate::support::gateway::Gateway;
use crate::support::redis::cluster::Cluster;
use crate::support::redis::sentinel::Sentinel;
use crate::support::redis::server::{Server, redis_cli};

fn gateway(redis: Value) -> Gateway {
    Gateway::with(json!({"redis": redis, "token_store": {"kind": "redis"}}))
}

/// Tokens in many partitions: made, used up, listed, reported, revoked.
async fn all_of_it(gateway: &Gateway) {
    let receiver = CallbackReceiver::start().await;
    gateway.place("a", "content");
    let mut tokens = Vec::new();
    for _ in 0..20 {
        let fields = json!({"max_hits": 1, "tags": ["all"], "callback": receiver.url()});
        tokens.push(gateway.token("GET", "a").with(fields).await);
    }
    for token in &tokens {
        assert_eq!(gateway.get(token).await.status, 200);
        gateway.get(token).await.assert_error(409, "hits_exceeded");
    }
    receiver.all(20).await;
    let listed = answer(gateway.control("GET", "/tokens?tag=all"))
        .await
        .json();
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 20);
    let revoked = answer(gateway.control("DELETE", "/tokens?tag=all")).await;
    assert_eq!(revoked.json(), json!({"deleted": 20}));
    for token in &tokens {
        gateway
            .get(token)
            .await
            .assert_error(404, "token_not_found");
    }
    let ready = answer(gateway.plain("GET", "/readyz")).await;
    assert_eq!(ready.status, 200, "{ready:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster() {
    let cluster = Cluster::start();
    let addresses: Vec<_> = cluster.masters.iter().map(Server::address).collect();
    all_of_it(&gateway(json!({"mode": "cluster", "addr": addresses}))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_with_a_failover() {
    let mut master = Server::start();
    // The one that is left has a replica, too: `wait_replicas` is kept to.
    let replicas = [(); 2].map(|()| Server::replica_of(&master));
    let sentinel = Sentinel::watch(&master, replicas.len());
    let gateway = gateway(json!({
        "mode": "sentinel",
        "addr": ["127.0.0.1:1", sentinel.address()],
        "master_name": "shop",
        "wait_replicas": 1,
    }));
    gateway.place("b", "content");
    let token = gateway.token("GET", "b").max_hits(1).await;
    assert_eq!(gateway.get(&token).await.status, 200);
    master.kill();
    gateway.get(&token).await.assert_error(503, "unavailable");
    until("another master serves", async || {
        gateway.get(&token).await.status == 409
    })
    .await;
    // The other replica has to follow the new master before writes are acknowledged.
    until("writes are acknowledged", async || {
        let made = gateway.create(json!({"method": "GET", "key": "b"})).await;
        made.status == 201
    })
    .await;
    all_of_it(&gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password() {
    let server = Server::start();
    let secret = "a-password-of-the-tests";
    server.cli(&["CONFIG", "SET", "requirepass", secret]);
    let with = gateway(json!({"addr": server.address(), "password": secret}));
    all_of_it(&with).await;
    assert!(!with.log().contains(secret));
    let without = gateway(json!({"addr": server.address(), "password": "wrong"}));
    let refused = answer(without.control("GET", "/tokens")).await;
    refused.assert_error(503, "unavailable");
    let ready = answer(without.plain("GET", "/readyz")).await;
    assert_eq!(ready.status, 503, "{ready:?}");
}

/// The sentinels' are not the servers'.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_of_sentinels() {
    let (secret, theirs) = ("a-password-of-the-tests", "a-password-of-the-sentinels");
    let master = Server::start();
    let sentinel = Sentinel::watch(&master, 0);
    master.cli(&["CONFIG", "SET", "requirepass", secret]);
    redis_cli(
        sentinel.port(),
        &["SENTINEL", "SET", "shop", "auth-pass", secret],
    );
    let password = format!(">{theirs}");
    redis_cli(
        sentinel.port(),
        &["ACL", "SETUSER", "gateway", "on", &password, "+@all"],
    );
    redis_cli(sentinel.port(), &["ACL", "SETUSER", "default", "off"]);
    let with = |password: &str| {
        gateway(json!({
            "mode": "sentinel",
            "addr": sentinel.address(),
            "master_name": "shop",
            "password": secret,
            "sentinel_username": "gateway",
            "sentinel_password": password,
        }))
    };
    let right = with(theirs);
    all_of_it(&right).await;
    let wrong = with("wrong");
    let refused = answer(wrong.control("GET", "/tokens")).await;
    refused.assert_error(503, "unavailable");
    for gateway in [right, wrong] {
        assert!(!gateway.log().contains(theirs) && !gateway.log().contains(secret));
    }
}
