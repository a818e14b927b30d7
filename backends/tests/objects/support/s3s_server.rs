//! An S3 server inside the test's process that verifies signatures and remembers what it was asked.

use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// Stops with its value.
pub struct S3sServer {
    pub endpoint: String,
    pub folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    accepting: AbortHandle,
}

impl S3sServer {
    pub async fn start() -> Self {
        super::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, seen) = (service.clone(), Arc::clone(&seen));
                let counted = service_fn(move |request: http::Request<Incoming>| {
                    let line = format!("{} {}", request.method(), request.uri());
                    seen.lock().unwrap().push(line);
                    Service::call(&service, request)
                });
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(socket), counted)
                        .await;
                });
            }
        });
        Self {
            endpoint,
            folder,
            requests,
            accepting: accepting.abort_handle(),
        }
    }

    /// `METHOD target` of each request since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Files of uploads that were begun and neither completed nor aborted.
    pub fn open_uploads(&self) -> Vec<String> {
        names(self.folder.path())
            .chain(names(&self.folder.path().join(BUCKET)))
            .filter(|name| name.contains(".upload-") || name.contains(".upload_id-"))
            .collect()
    }
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
}

impl Drop for S3sServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
