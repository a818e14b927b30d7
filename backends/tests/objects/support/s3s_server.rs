//! An S3 server in the test's process that verifies signatures, records requests and can pause them.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

use super::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// Access keys and their secrets; others are refused.
#[derive(Clone)]
struct Users(Arc<Mutex<HashMap<String, String>>>);

#[async_trait::async_trait]
impl S3Auth for Users {
    async fn get_secret_key(&self, access_key: &str) -> s3s::S3Result<SecretKey> {
        match self.0.lock().get(access_key) {
            Some(secret) => Ok(SecretKey::from(secret.as_str())),
            None => Err(s3s::s3_error!(InvalidAccessKeyId)),
        }
    }
}

/// Where the server pauses a request that makes an object visible: `PutObject` or `CompleteMultipartUpload`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pause {
    #[default]
    Never,
    /// The request is never executed and never answered.
    BeforeExecution,
    /// The request is executed and never answered.
    AfterExecution,
    /// The request is executed, and answered after [`S3sServer::resume`].
    BeforeAnswer,
    /// The request is never answered, and executed after [`S3sServer::resume`], even if its sender is gone.
    LateExecution,
}

/// Stops when it is dropped.
pub struct S3sServer {
    pub endpoint: String,
    pub folder: tempfile::TempDir,
    users: Users,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    service: S3Service,
    requests: Mutex<Vec<String>>,
    to_fail: AtomicUsize,
    pause: Mutex<Pause>,
    /// A permit for each paused request.
    paused: Semaphore,
    resumed: Notify,
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
        let state = Arc::new(State {
            service: service.build(),
            requests: Mutex::default(),
            to_fail: AtomicUsize::new(0),
            pause: Mutex::default(),
            paused: Semaphore::new(0),
            resumed: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let of_connections = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let state = Arc::clone(&of_connections);
                let answer = service_fn(move |request| Arc::clone(&state).answer(request));
                tokio::spawn(async move {
                    let connection = http1::Builder::new();
                    let _ = connection
                        .serve_connection(TokioIo::new(socket), answer)
                        .await;
                });
            }
        });
        Self {
            endpoint,
            folder,
            users,
            state,
            accepting: accepting.abort_handle(),
        }
    }

    pub fn allow(&self, access_key: &str, secret_key: &str) {
        let mut users = self.users.0.lock();
        users.insert(access_key.to_owned(), secret_key.to_owned());
    }

    pub fn forbid(&self, access_key: &str) {
        self.users.0.lock().remove(access_key);
    }

    /// `METHOD target` of each request since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.requests.lock())
    }

    /// Answers the next `count` requests with 503.
    pub fn fail_next(&self, count: usize) {
        self.state.to_fail.store(count, Relaxed);
    }

    pub fn pause_at(&self, pause: Pause) {
        *self.state.pause.lock() = pause;
    }

    /// Returns when a request is paused.
    pub async fn paused(&self) {
        self.state.paused.acquire().await.unwrap().forget();
    }

    pub fn resume(&self) {
        self.state.resumed.notify_one();
    }

    /// Files of multipart uploads that were neither completed nor aborted.
    pub fn open_uploads(&self) -> Vec<String> {
        names(self.folder.path())
            .chain(names(&self.folder.path().join(BUCKET)))
            .filter(|name| name.contains(".upload-") || name.contains(".upload_id-"))
            .collect()
    }

    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(BUCKET).join(key)).ok()
    }
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).unwrap();
    // A temporary file may be removed meanwhile.
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

impl Drop for S3sServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Response = http::Response<s3s::Body>;

impl State {
    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<Response, s3s::HttpError> {
        let line = format!("{} {}", request.method(), request.uri());
        self.requests.lock().push(line);
        let failing = self
            .to_fail
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if failing.is_ok() {
            let mut response = Response::new(s3s::Body::empty());
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            return Ok(response);
        }
        let pause = match makes_visible(&request) {
            true => *self.pause.lock(),
            false => Pause::Never,
        };
        match pause {
            Pause::Never => return Service::call(&self.service, request).await,
            Pause::BeforeExecution => {}
            Pause::AfterExecution => {
                Service::call(&self.service, request).await?;
            }
            Pause::BeforeAnswer => {
                let answer = Service::call(&self.service, request).await?;
                self.paused.add_permits(1);
                self.resumed.notified().await;
                return Ok(answer);
            }
            Pause::LateExecution => {
                let (head, body) = request.into_parts();
                let Ok(body) = body.collect().await else {
                    return std::future::pending().await;
                };
                let body = s3s::Body::from(body.to_bytes());
                let request = http::Request::from_parts(head, body);
                let state = Arc::clone(&self);
                tokio::spawn(async move {
                    state.resumed.notified().await;
                    state.service.call(request).await
                });
            }
        }
        self.paused.add_permits(1);
        std::future::pending().await
    }
}

fn makes_visible(request: &http::Request<Incoming>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let is_multipart = query.contains("uploadId=");
    match *request.method() {
        http::Method::PUT => !is_multipart,
        http::Method::POST => is_multipart,
        _ => false,
    }
}
