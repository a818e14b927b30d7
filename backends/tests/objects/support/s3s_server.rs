//! An S3 server inside the test's process that verifies signatures and remembers what it was asked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// Access keys and their secrets; others are refused.
#[derive(Clone)]
struct Users(Arc<Mutex<HashMap<String, String>>>);

#[async_trait::async_trait]
impl S3Auth for Users {
    async fn get_secret_key(&self, access_key: &str) -> s3s::S3Result<SecretKey> {
        match self.0.lock().unwrap().get(access_key) {
            Some(secret) => Ok(SecretKey::from(secret.as_str())),
            None => Err(s3s::s3_error!(InvalidAccessKeyId)),
        }
    }
}

/// Stops with its value.
pub struct S3sServer {
    pub endpoint: String,
    pub folder: tempfile::TempDir,
    #[cfg(feature = "aws")]
    users: Users,
    requests: Arc<Mutex<Vec<String>>>,
    to_fail: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl S3sServer {
    pub async fn start() -> Self {
        super::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        let user = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
        let users = Users(Arc::new(Mutex::new([user].into())));
        service.set_auth(users.clone());
        let service = service.build();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let to_fail = Arc::new(AtomicUsize::new(0));
        let seen = (Arc::clone(&requests), Arc::clone(&to_fail));
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, (seen, to_fail)) = (service.clone(), seen.clone());
                let counted = service_fn(move |request: http::Request<Incoming>| {
                    let line = format!("{} {}", request.method(), request.uri());
                    seen.lock().unwrap().push(line);
                    let failing =
                        to_fail.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
                    let answer = Service::call(&service, request);
                    async move {
                        if failing.is_ok() {
                            let mut response = http::Response::new(s3s::Body::empty());
                            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                            return Ok(response);
                        }
                        answer.await
                    }
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
            #[cfg(feature = "aws")]
            users,
            requests,
            to_fail,
            accepting: accepting.abort_handle(),
        }
    }

    #[cfg(feature = "aws")]
    pub fn allow(&self, access_key: &str, secret_key: &str) {
        let mut users = self.users.0.lock().unwrap();
        users.insert(access_key.to_owned(), secret_key.to_owned());
    }

    #[cfg(feature = "aws")]
    pub fn forbid(&self, access_key: &str) {
        self.users.0.lock().unwrap().remove(access_key);
    }

    /// `METHOD target` of each request since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// Answers the next `count` requests with 503.
    pub fn fail_next(&self, count: usize) {
        self.to_fail.store(count, Relaxed);
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
