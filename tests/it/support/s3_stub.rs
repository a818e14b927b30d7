//! An S3 endpoint that stores nothing.

use std::net::SocketAddr;

use asset_gateway::http::server::{Server, ServerSettings};
use asset_gateway::shutdown::Shutdown;
use axum::Router;
use axum::http::{Method, StatusCode};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

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

/// Takes every PUT whole and hangs up; says of everything else that it is not there.
pub async fn start_hanging_up() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(hang_up(BufReader::new(stream)));
        }
    });
    address
}

async fn hang_up(mut stream: BufReader<TcpStream>) {
    let (mut head, mut length) = (String::new(), 0);
    while stream.read_line(&mut head).await.unwrap() > 2 {
        let line = head.lines().last().unwrap().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    if !head.starts_with("PUT") {
        let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(missing).await.unwrap();
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}
