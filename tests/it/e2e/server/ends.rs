//! Shutdown.

use std::time::Duration;

use asset_gateway::http::server::ServerSettings;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::*;

#[tokio::test]
async fn shutdown_closes_the_listener_and_idle_connections_and_finishes_answers() {
    let server = start(settings()).await;
    let mut idle = server.ask("/").await;
    read_answer(&mut idle).await;
    let silent = server.connect().await;
    let mut busy = server.ask("/slow").await;
    tokio::time::sleep(Duration::from_millis(50)).await;

    server.shutdown.begin();
    assert_eq!(read_to_end(&mut idle).await, "");
    let answer = read_to_end(&mut busy).await;
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    drop(busy);
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(silent);
}

#[tokio::test]
async fn shutdown_cuts_off_what_does_not_end() {
    let server = start(ServerSettings {
        shutdown: Duration::from_millis(200),
        ..settings()
    })
    .await;
    let mut stuck = server.ask("/never").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.begin();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert_eq!(read_to_end(&mut stuck).await, "");
}

#[tokio::test]
async fn a_forced_shutdown_does_not_wait() {
    let server = start(ServerSettings {
        shutdown: Duration::from_secs(3600),
        ..settings()
    })
    .await;
    let _stuck = server.ask("/never").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.begin();
    server.shutdown.force();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
}
