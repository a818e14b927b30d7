//! A storage server that answers with the bytes that a test gives.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A received request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The request begins a multipart upload.
    pub fn begins_parts(&self) -> bool {
        self.method == "POST" && self.target.contains("uploads")
    }

    pub fn is_part(&self) -> bool {
        self.method == "PUT" && self.target.contains("partNumber=")
    }

    pub fn completes_parts(&self) -> bool {
        self.method == "POST" && self.target.contains("uploadId=")
    }
}

/// Bytes of a response, and whether the connection is kept after them.
pub struct Reply {
    pub bytes: Vec<u8>,
    pub keep: bool,
}

impl<T: AsRef<[u8]>> From<T> for Reply {
    fn from(bytes: T) -> Self {
        Self {
            bytes: bytes.as_ref().to_vec(),
            keep: false,
        }
    }
}

type Script = dyn FnMut(&Request) -> Reply + Send;

/// Stops when it is dropped.
pub struct ScriptedStorage {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: AbortHandle,
}

impl ScriptedStorage {
    /// Answers each request with the reply of `script`. An empty reply closes the connection.
    pub async fn start<R: Into<Reply>>(
        mut script: impl FnMut(&Request) -> R + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let script = move |request: &Request| script(request).into();
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(
                    BufReader::new(stream),
                    Arc::clone(&seen),
                    Arc::clone(&script),
                ));
            }
        });
        Self {
            endpoint,
            requests,
            accepting: accepting.abort_handle(),
        }
    }

    /// The requests since the last call.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock())
    }
}

impl Drop for ScriptedStorage {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: BufReader<TcpStream>,
    seen: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<Box<Script>>>,
) {
    while let Some(request) = read(&mut stream).await {
        seen.lock().push(request.clone());
        let mut reply = (script.lock())(&request);
        if !reply.keep {
            add_connection_close(&mut reply.bytes);
        }
        if stream.write_all(&reply.bytes).await.is_err() || !reply.keep {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Adds `Connection: close`, so that the client sends no other request.
fn add_connection_close(bytes: &mut Vec<u8>) {
    let last = bytes.windows(9).rposition(|at| at == b"HTTP/1.1 ");
    let line_end = last.and_then(|last| {
        let mut ends = bytes[last..].windows(2);
        ends.position(|at| at == b"\r\n").map(|end| last + end)
    });
    if let Some(end) = line_end {
        bytes.splice(end..end, *b"\r\nConnection: close");
    }
}

/// Reads a request with its body; `None` at the end of the connection.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut fields = line.split_whitespace().map(str::to_owned);
    let (method, target) = (fields.next()?, fields.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? <= 2 {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .map_or("0", |length| length);
    request.body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

/// A response with these headers, a `Content-Length` and the body.
pub fn answer(status: &str, lines: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = format!("Content-Length: {}", body.len());
    let mut all = lines.to_vec();
    all.push(&length);
    raw(status, &all, body)
}

/// A response with exactly these headers and bytes.
pub fn raw(status: &str, lines: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n");
    for line in lines {
        bytes.push_str(line);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    [bytes.as_bytes(), body.as_ref()].concat()
}

/// The page of a busy proxy.
pub fn page(status: &str) -> Vec<u8> {
    answer(
        status,
        &["Content-Type: text/html; charset=utf-8"],
        "<html><body>Busy, come back<br></body></html>",
    )
}
