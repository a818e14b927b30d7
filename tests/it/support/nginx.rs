//! nginx as a reverse proxy in front of a gateway.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::api::{PATIENCE, until};
use super::raw;

/// Gives each request an id, and logs the requests that it passes on. Bodies are streamed, and
/// connections to the gateway are kept open.
const CONFIGURATION: &str = r"
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log FOLDER/error.log;
events { worker_connections 256; }
http {
    log_format passed '$upstream_addr nginx-$request_id';
    access_log FOLDER/access.log passed;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    upstream gateway { server 127.0.0.1:GATEWAY; keepalive 8; }
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $host;
            proxy_set_header X-Request-Id nginx-$request_id;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_request_buffering off;
            proxy_buffering off;
        }
    }
}
";

/// Dropping it kills it.
pub struct Nginx {
    pub port: u16,
    child: Child,
    folder: TempDir,
}

impl Nginx {
    /// Starts in front of the gateway on port `gateway`.
    pub async fn start(gateway: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let configuration = CONFIGURATION
            .replace("FOLDER", path)
            .replace("GATEWAY", &gateway.to_string())
            .replace("PORT", &port.to_string());
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new("nginx")
            .args(["-p", path, "-e", "error.log", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is installed (Debian: nginx-light)");
        let nginx = Self {
            port,
            child,
            folder,
        };
        until("nginx listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        nginx
    }

    /// Sends `request` and reads until nginx closes.
    pub async fn exchange(&self, request: &[u8]) {
        let mut stream = raw::connect(self.port).await;
        // nginx may have closed already.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        drop(read.expect("nginx closes"));
    }

    /// The ids of the requests that were sent to the gateway.
    pub fn passed_on(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        let lines = log.lines().filter_map(|line| line.split_once(' '));
        let passed = lines.filter(|(upstream, _)| *upstream != "-");
        passed.map(|(_, id)| id.to_owned()).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
