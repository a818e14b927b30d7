//! Output that cannot be written: the disk behind stdout and stderr is full.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};

use serde_json::json;

use crate::support::api::{Api, until};
use crate::support::gateway::{configuration, configure};
use crate::support::process::command;

fn full_device() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Starts a gateway that listens on `address`, and waits until it answers.
async fn start(mut command: Command, address: SocketAddr) -> (Child, Api) {
    let output = command.stdout(full_device()).stderr(full_device());
    let child = output.spawn().unwrap();
    let api = Api::new(format!("http://{address}"));
    until("the gateway answers", async || {
        api.plain("GET", "/readyz").send().await.is_ok()
    })
    .await;
    (child, api)
}

#[tokio::test]
async fn requests_are_answered_while_no_log_line_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    configure(folder.path(), configuration(folder.path()));
    let mut gateway = command();
    gateway
        .current_dir(folder.path())
        .env("ASSET_GATEWAY__SERVER__LISTEN", address.to_string());
    let (mut child, api) = start(gateway, address).await;

    api.store("k", "text/plain", "bytes").await;
    let token = api.token("GET", "k").await;
    assert_eq!(api.get(&token).await.status, 200);
    let missing = api.get("no-such-token").await;
    missing.assert_error(404, "token_not_found");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_banner_that_cannot_be_printed_does_not_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut gateway = command();
    gateway
        .current_dir(folder.path())
        .env("ASSET_GATEWAY__SERVER__LISTEN", address.to_string())
        .env("ASSET_GATEWAY__METRICS__LISTEN", "127.0.0.1:0");
    let (mut child, api) = start(gateway, address).await;

    let request = api.plain("GET", "/token/t").json(&json!({}));
    assert_eq!(request.send().await.unwrap().status(), 401);
    child.kill().unwrap();
    child.wait().unwrap();
}
