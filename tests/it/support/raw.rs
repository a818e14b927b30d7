//! Raw bytes on a socket, for requests that no client library would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::api::{Answer, PATIENCE};

pub async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Sends `request`, which needs `Connection: close` unless the answer has it, and reads until
/// the server closes.
pub async fn exchange(port: u16, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(port).await;
    stream.write_all(request.as_ref()).await.unwrap();
    read_to_end(&mut stream).await
}

/// Sends `method path` with unchanged header `lines` and body.
pub async fn request(port: u16, first: &str, lines: &[&[u8]], body: &[u8]) -> Answer {
    let mut request =
        format!("{first} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n").into_bytes();
    for line in lines {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    exchange(port, request).await
}

pub async fn read_to_end(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("the server closes")
        .expect("and does not reset");
    parse(&bytes)
}

/// Parses one answer; a chunked body is not decoded.
pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut headers = http::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    Answer {
        status: status.parse().unwrap(),
        headers,
        body: bytes[end + 4..].to_vec().into(),
    }
}

/// Reads exactly `bytes` bytes.
pub async fn take(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut taken = vec![0; bytes];
    let read = timeout(PATIENCE, stream.read_exact(&mut taken)).await;
    read.expect("bytes").expect("and no end");
    taken
}

/// Sends the head and the beginning of an upload of `length` bytes and returns the open stream.
pub async fn begin_upload(port: u16, token: &str, length: usize, beginning: &[u8]) -> TcpStream {
    let mut stream = connect(port).await;
    let head = format!(
        "PUT /object/{token} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(beginning).await.unwrap();
    stream
}

/// Requests an object and reads only its first bytes.
pub async fn begin_download(port: u16, token: &str, lines: &str) -> TcpStream {
    let mut stream = connect(port).await;
    let head = format!("GET /object/{token} HTTP/1.1\r\nHost: gateway\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    take(&mut stream, 16).await;
    stream
}
