//! What outlives the processes: folders, a configuration, a receiver of callbacks.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::victim::Victim;

const CONTROL: &str = "control-token-of-the-crash-tests";
/// Only a failure waits this long; a loaded machine must not look like one.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A gateway's folders and neighbours.
pub(super) struct Scene {
    folder: TempDir,
    config: PathBuf,
    receiver: Receiver,
}

impl Scene {
    /// `buckets`: the YAML of the section, two spaces in, besides the fs bucket `local`.
    pub(super) async fn new(buckets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let text = format!(
            r#"
server: {{listen: "127.0.0.1:0"}}
metrics: {{listen: "127.0.0.1:0"}}
token_store: {{kind: sled}}
sled: {{path: "{}"}}
control: {{tokens: ["{CONTROL}"]}}
callback: {{retry_seconds: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], report_incomplete: true}}
credentials:
  test: {{access_key: "test-access-key", secret_key: "test-secret-key"}}
buckets:
  local: {{provider: fs, root: "{}"}}
{buckets}
"#,
            at("tokens"),
            at("objects"),
        );
        std::fs::write(&config, text).unwrap();
        std::fs::create_dir(folder.path().join("objects")).unwrap();
        Self {
            folder,
            config,
            receiver: Receiver::start().await,
        }
    }

    pub(super) async fn start(&self) -> (Victim, Gateway) {
        let process = Victim::start(&self.config).await;
        let gateway = Gateway::new(process.address);
        (process, gateway)
    }

    /// Where the fs bucket keeps the object.
    pub(super) fn object(&self, key: &str) -> PathBuf {
        self.folder.path().join("objects").join(key)
    }

    /// Files of uploads that are under way.
    pub(super) fn temporary_files(&self) -> BTreeSet<PathBuf> {
        let entries = std::fs::read_dir(self.object(".asset-gateway/tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    pub(super) fn callback_url(&self) -> String {
        format!("http://{}/", self.receiver.address)
    }

    /// Ids of the events that have arrived and are `about` what is asked for. One that arrives
    /// twice counts once.
    pub(super) fn events(&self, about: impl Fn(&Value) -> bool) -> BTreeSet<String> {
        let events = self.receiver.events.lock();
        let chosen = events.iter().filter(|event| about(event));
        let ids = chosen.map(|event| event["event_id"].as_str().unwrap().to_owned());
        ids.collect()
    }
}

struct Receiver {
    address: SocketAddr,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    async fn start() -> Self {
        type Events = Arc<Mutex<Vec<Value>>>;
        let events = Events::default();
        let receive = async |State(events): State<Events>, Json(event): Json<Value>| {
            events.lock().push(event);
        };
        let router = Router::new()
            .route("/", post(receive))
            .with_state(Arc::clone(&events));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, events }
    }
}

/// A client of one life of the gateway. An `Err` means that the process is gone.
#[derive(Clone)]
pub(super) struct Gateway {
    client: Client,
    base: String,
}

pub(super) type Answered<T> = Result<T, reqwest::Error>;

impl Gateway {
    fn new(address: SocketAddr) -> Self {
        // Only the first one in the process can be installed; all are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
            base: format!("http://{address}"),
        }
    }

    /// Creates a token and returns the answer of `POST /token`.
    pub(super) async fn create(&self, fields: &Value) -> Answered<Value> {
        let request = self
            .client
            .post(format!("{}/token", self.base))
            .json(fields);
        let answer = request.bearer_auth(CONTROL).send().await?;
        assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
        answer.json().await
    }

    /// The token's record; `None` where it is not known.
    pub(super) async fn show(&self, token: &str) -> Answered<Option<Value>> {
        let request = self.client.get(format!("{}/token/{token}", self.base));
        let answer = request.bearer_auth(CONTROL).send().await?;
        match answer.status().as_u16() {
            200 => answer.json().await.map(Some),
            404 => Ok(None),
            other => panic!("{other}: {:?}", answer.text().await),
        }
    }

    pub(super) async fn patch(&self, token: &str, change: &Value) -> Answered<()> {
        let request = self.client.patch(format!("{}/token/{token}", self.base));
        let answer = request.bearer_auth(CONTROL).json(change).send().await?;
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
        Ok(())
    }

    pub(super) async fn revoke(&self, token: &str) -> Answered<()> {
        let request = self.client.delete(format!("{}/token/{token}", self.base));
        let answer = request.bearer_auth(CONTROL).send().await?;
        assert_eq!(answer.status(), 204, "{:?}", answer.text().await);
        Ok(())
    }

    pub(super) async fn get(&self, token: &str) -> Answered<Response> {
        let url = format!("{}/object/{token}", self.base);
        self.client.get(url).send().await
    }

    pub(super) async fn put(
        &self,
        token: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answered<Response> {
        let url = format!("{}/object/{token}", self.base);
        self.client.put(url).body(body).send().await
    }

    pub(super) async fn used_hits(&self, token: &str) -> u64 {
        let shown = self.show(token).await.unwrap();
        shown.expect("the token is known")["used_hits"]
            .as_u64()
            .unwrap()
    }
}

/// Waits until `look` finds something.
pub(super) async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("waited in vain until {what}"),
    }
}

/// Bytes that only this seed has.
pub(super) fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

/// The fields that every token of these tests has.
pub(super) fn token(method: &str, bucket: &str, key: &str, max_hits: i64) -> Value {
    json!({"method": method, "bucket": bucket, "key": key, "max_hits": max_hits})
}
