//! The suites over a Redis that each test starts for itself, and what only a shared store can get
//! wrong.

mod batches;
mod calls;
mod claims;
pub mod cluster;
mod cluster_moves;
mod failover;
mod gate;
mod login;
mod monitor;
mod nodes;
mod outage;
mod refused;
mod replicas;
mod sentinel;
mod sentinel_moves;
pub mod server;
mod usage;
mod windows;

use asset_gateway_backends::conformance::fixture::{Fixture, Time};
use asset_gateway_backends::settings::QueueLimits;
use asset_gateway_backends::{callback_queue_suite, token_store_suite};

use cluster::Cluster;
use server::Server;

async fn standalone(limits: QueueLimits) -> Fixture {
    let server = Server::start();
    Fixture {
        stores: server.node(limits),
        time: Time::Real,
        guard: Box::new(server),
    }
}

async fn three_masters(limits: QueueLimits) -> Fixture {
    let cluster = Cluster::start();
    let mut fixture = cluster.fixture(limits);
    fixture.guard = Box::new(cluster);
    fixture
}

token_store_suite!(tokens, standalone);
callback_queue_suite!(callbacks, standalone);
token_store_suite!(tokens_in_a_cluster, three_masters);
callback_queue_suite!(callbacks_in_a_cluster, three_masters);
