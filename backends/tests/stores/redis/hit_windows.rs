//! Windows and rides of a token are limited in number.

use std::net::{IpAddr, Ipv4Addr};

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, id, request};
use asset_gateway_backends::token_store::{Access, MAX_WINDOWS_PER_TOKEN, Method};

use super::support::server::{Server, fixture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_open_few_windows() {
    let server = Server::start();
    let node = fixture(server.node(DEFAULT_LIMITS));
    let mut record = node.record(Method::Get);
    record.hit_window_seconds = Some(3600);
    node.create(id(1), record).await;
    for client in 0..400_u32 {
        let mut request = request(Access::Get);
        request.caller.client_ip = IpAddr::from(Ipv4Addr::from(client)).into();
        // A hit and a ride.
        node.admit_with(id(1), &request).await;
        node.admit_with(id(1), &request).await;
    }
    let count = "return redis.call('ZCARD', redis.call('KEYS', 'ag:*:w:*')[1])";
    let kept: usize = server.cli(&["EVAL", count, "0"]).trim().parse().unwrap();
    // Each window has a ride.
    assert_eq!(kept, 2 * MAX_WINDOWS_PER_TOKEN);
}
