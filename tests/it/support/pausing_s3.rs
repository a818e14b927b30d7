//! An S3 server that stops the moment an object becomes visible, before or after.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

const BUCKET: &str = "held";

/// What happens to the requests that make objects visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    Nothing,
    /// Never carried out, never answered.
    Before,
    /// Carried out, never answered.
    After,
    /// Carried out, and answered when [`PausingS3::go_on`] says so.
    Answer,
    /// Never answered, and carried out when [`PausingS3::go_on`] says so, whoever is gone by then.
    Late,
}

pub struct PausingS3 {
    pub endpoint: String,
    folder: TempDir,
    hold: Arc<Mutex<Pause>>,
    held: mpsc::UnboundedReceiver<()>,
    late: Arc<Notify>,
    looks: Arc<AtomicUsize>,
}

impl PausingS3 {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(
            "test-access-key",
            "test-secret-key",
        ));
        let service = service.build();
        let hold = Arc::new(Mutex::new(Pause::Nothing));
        let (holding, held) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (late, looks) = (Arc::<Notify>::default(), Arc::<AtomicUsize>::default());
        let (go_on, looked) = (Arc::clone(&late), Arc::clone(&looks));
        let modes = Arc::clone(&hold);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, hold) = (service.clone(), Arc::clone(&modes));
                let holding = holding.clone();
                let (go_on, looked) = (Arc::clone(&go_on), Arc::clone(&looked));
                let answer = service_fn(move |request: http::Request<Incoming>| {
                    let (service, holding) = (service.clone(), holding.clone());
                    let go_on = Arc::clone(&go_on);
                    if request.method() == http::Method::HEAD {
                        looked.fetch_add(1, SeqCst);
                    }
                    let mode = match makes_visible(&request) {
                        true => *hold.lock(),
                        false => Pause::Nothing,
                    };
                    async move {
                        let answer = match mode {
                            Pause::Before => None,
                            Pause::Late => {
                                let (head, body) = request.into_parts();
                                // Nobody else has the request once its sender is gone.
                                let Ok(body) = body.collect().await else {
                                    return std::future::pending().await;
                                };
                                let body = s3s::Body::from(body.to_bytes());
                                let request = http::Request::from_parts(head, body);
                                let go_on = Arc::clone(&go_on);
                                tokio::spawn(async move {
                                    go_on.notified().await;
                                    service.call(request).await
                                });
                                None
                            }
                            Pause::Nothing | Pause::After | Pause::Answer => {
                                Some(Service::call(&service, request).await?)
                            }
                        };
                        match answer {
                            Some(answer) if mode == Pause::Nothing => Ok(answer),
                            Some(answer) if mode == Pause::Answer => {
                                let _ = holding.send(());
                                go_on.notified().await;
                                Ok(answer)
                            }
                            Some(_) | None => {
                                let _ = holding.send(());
                                std::future::pending::<Result<_, s3s::HttpError>>().await
                            }
                        }
                    }
                });
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
            hold,
            held,
            late,
            looks,
        }
    }

    /// The line of the section `buckets` that leads here.
    pub fn bucket(&self) -> String {
        format!(
            "  s3: {{provider: s3, bucket: {BUCKET}, region: us-east-1, endpoint: \"{}\", \
             credential: test, force_path_style: true}}",
            self.endpoint
        )
    }

    pub fn set(&self, hold: Pause) {
        *self.hold.lock() = hold;
    }

    /// Returns when a request is held.
    pub async fn holds(&mut self) {
        self.held.recv().await.unwrap();
    }

    /// Carries out a request that was held [`Pause::Late`], answers one that was held [`Pause::Answer`].
    pub fn go_on(&self) {
        self.late.notify_one();
    }

    /// How often somebody has asked about an object.
    pub fn looks(&self) -> usize {
        self.looks.load(SeqCst)
    }

    /// Files of uploads in parts that were begun and neither completed nor aborted.
    #[cfg(feature = "aws")]
    pub fn open_uploads(&self) -> Vec<String> {
        let bucket = self.folder.path().join(BUCKET);
        let folders = [self.folder.path(), &bucket];
        let entries = folders.map(|folder| std::fs::read_dir(folder).unwrap());
        let names = entries.into_iter().flatten().filter_map(|entry| {
            // What goes away meanwhile was a temporary file.
            entry.ok()?.file_name().into_string().ok()
        });
        names
            .filter(|name| name.contains(".upload-") || name.contains(".upload_id-"))
            .collect()
    }

    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(BUCKET).join(key)).ok()
    }
}

/// `PutObject` and `CompleteMultipartUpload`.
fn makes_visible(request: &http::Request<Incoming>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let of_upload = query.contains("uploadId=");
    match *request.method() {
        http::Method::PUT => !of_upload,
        http::Method::POST => of_upload,
        _ => false,
    }
}
