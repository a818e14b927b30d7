//! A metrics port that is taken: a warning for the default port, an error for a configured one.

use std::net::TcpListener;

use serde_json::json;

use crate::support::api::answer;
use crate::support::gateway::Gateway;
use crate::support::process::Process;

#[tokio::test]
async fn a_taken_configured_metrics_port_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let builder = Gateway::builder().with(json!({"metrics": {"listen": address}}));
    let mut process = Process::start(builder.command());
    assert_eq!(process.wait().code(), Some(1));
    let log = process.stderr();
    assert!(
        log.contains("metrics.listen") && log.contains(&address),
        "{log}"
    );
}

#[tokio::test]
async fn a_taken_default_metrics_port_is_a_warning() {
    let gateway = loop {
        // Where another process has the port, it is taken, too, unless that process ends now.
        let _taken = TcpListener::bind("127.0.0.1:9464");
        let gateway = Gateway::with(json!({"metrics": null}));
        if gateway.metrics.is_none() {
            break gateway;
        }
    };
    let log = gateway.log();
    let warning = log
        .lines()
        .find(|line| line.contains("/metrics is not served"));
    let warning = warning.unwrap();
    assert!(
        warning.contains("WARN") && warning.contains("9464"),
        "{warning}"
    );
    let health = answer(gateway.plain("GET", "/healthz")).await;
    assert_eq!(health.status, 200);
}
