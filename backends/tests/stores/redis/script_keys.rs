//! Every key that a script touches lies in the partition of its call, so in one slot.

use asset_gateway_backends::conformance::fixture::{DEFAULT_LIMITS, LEASE, id};
use asset_gateway_backends::token_store::{Access, Method};

use super::support::monitor::{Sender, all_commands};
use super::support::server::{Server, fixture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_script_lie_in_the_partition_of_its_call() {
    let server = Server::start();
    let f = fixture(server.node(DEFAULT_LIMITS));
    let (_, commands) = all_commands(&server, async {
        f.create(id(1), f.reported(Method::Get, 9)).await;
        let download = f.admit(id(1), Access::Get).await;
        f.commit(download).await;
        f.create(id(2), f.reported(Method::Put, 9)).await;
        let upload = f.admit(id(2), Access::Put).await;
        f.finalise(&upload).await;
        f.commit(upload).await;
        assert_eq!(f.take_events().await.len(), 2);
        f.stores.tokens.sweep(LEASE).await.unwrap();
        assert!(f.stores.tokens.delete(id(1)).await.unwrap());
    })
    .await;
    let mut partition = None;
    let mut keys = 0;
    for (sender, command) in commands {
        match (sender, command[0].as_slice()) {
            (Sender::Client, b"EVALSHA") => partition = Some(command[3].clone()),
            (Sender::Client, b"EVAL") => panic!("sent with its text: {command:?}"),
            (Sender::Script, b"TIME") | (Sender::Client, _) => {}
            (Sender::Script, _) => {
                let partition = partition.as_ref().expect("a script runs");
                assert!(command[1].starts_with(partition), "{command:?}");
                keys += 1;
            }
        }
    }
    assert!(keys > 100, "{keys} commands of scripts");
}
