//! The suites over a Redis that each test starts for itself, and tests of what only a shared store can get wrong.

mod authentication;
mod cluster_changes;
mod create_batches;
mod failed_claims;
mod failover;
mod hit_windows;
mod outage;
mod repeated_calls;
mod script_keys;
mod sentinel_failover;
pub mod support;
mod two_nodes;
mod unreachable;
mod usage_buffer;
mod wait_replicas;

use asset_gateway_backends::conformance::fixture::Fixture;
use asset_gateway_backends::settings::QueueLimits;
use asset_gateway_backends::{callback_queue_suite, token_store_suite};

use support::cluster::Cluster;
use support::server::{Server, fixture};

async fn standalone(limits: QueueLimits) -> Fixture {
    let server = Server::start();
    let mut fixture = fixture(server.node(limits));
    fixture.guard = Box::new(server);
    fixture
}

async fn three_masters(limits: QueueLimits) -> Fixture {
    let cluster = Cluster::start();
    let mut fixture = fixture(cluster.node(limits));
    fixture.guard = Box::new(cluster);
    fixture
}

token_store_suite!(tokens, standalone);
callback_queue_suite!(callbacks, standalone);
token_store_suite!(tokens_in_a_cluster, three_masters);
callback_queue_suite!(callbacks_in_a_cluster, three_masters);
