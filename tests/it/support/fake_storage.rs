//! An S3 endpoint that stores nothing.

use std::net::SocketAddr;

use asset_gateway::http::server::{Server, ServerSettings};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::http::{Method, StatusCode};
use tokio::net::TcpListener;

/// Answers every PUT with one status and everything else with another.
pub async fn start(put: u16, other: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (put, other) = (status(put), status(other));
    let router = Router::new().fallback(move |method: Method| async move {
        if method == Method::PUT { put } else { other }
    });
    tokio::spawn(async move {
        let server = Server::new(ServerSettings::default());
        server.run(listener, router, Shutdown::new()).await;
    });
    address
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}
