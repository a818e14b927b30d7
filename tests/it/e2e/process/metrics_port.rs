//! A metrics port that is taken: a warning where nobody asked for it, else the end.

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::json;

use crate::support::api::answer;
use crate::support::gateway::{Gateway, configuration};
use crate::support::process::{Process, command};

#[tokio::test]
async fn one_that_was_asked_for_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut whole = configuration(folder.path());
    whole["metrics"] = json!({"listen": address});
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, whole.to_string()).unwrap();
    let mut command = command();
    command.arg("--config").arg(file);
    let mut process = Process::start(command);
    assert_eq!(process.wait().code(), Some(1));
    let log = process.stderr();
    assert!(
        log.contains("metrics.listen") && log.contains(&address),
        "{log}"
    );
}

#[tokio::test]
async fn the_default_one_is_only_missed() {
    let gateway = loop {
        // Where somebody else has it, it is taken, too; unless he ends just now.
        let _taken = TcpListener::bind("127.0.0.1:9464");
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut whole = configuration(folder.path());
        whole.as_object_mut().unwrap().remove("metrics");
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, whole.to_string()).unwrap();
        let mut command = command();
        command.arg("--config").arg(file);
        let gateway = Gateway::run(command, folder);
        if gateway.metrics.is_none() {
            break gateway;
        }
    };
    let log = gateway.log();
    let warning = log
        .lines()
        .find(|line| line.contains("no metrics are served"));
    let warning = warning.unwrap();
    assert!(
        warning.contains("WARN") && warning.contains("9464"),
        "{warning}"
    );
    let health = answer(gateway.plain("GET", "/healthz")).await;
    assert_eq!(health.status, 200);
}
