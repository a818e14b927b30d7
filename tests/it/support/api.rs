//! A client of a gateway: its base URL and a control token.

use std::future::IntoFuture;
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::time::Instant;

pub const CONTROL: &str = "control-token-of-the-tests";
/// Far more than anything takes, so that a loaded machine does not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// reqwest is built without a rustls provider of its own.
pub fn install_crypto() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

pub fn client() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

#[derive(Clone)]
pub struct Api {
    pub base: String,
    pub client: reqwest::Client,
    /// Tokens that are long enough to be found in a log.
    pub handed_out: Arc<Mutex<Vec<String>>>,
}

/// A token that is about to be created; awaiting it gives the token.
#[must_use]
pub struct NewToken<'a> {
    api: &'a Api,
    fields: Value,
}

impl NewToken<'_> {
    /// Adds fields of `POST /token`.
    pub fn with(mut self, fields: Value) -> Self {
        self.fields = merge(self.fields, fields);
        self
    }

    pub fn set(self, field: &str, value: impl Into<Value>) -> Self {
        self.with(json!({field: value.into()}))
    }

    pub fn callback(self, url: impl Into<String>) -> Self {
        self.set("callback", url.into())
    }

    pub fn max_hits(self, hits: impl Into<Value>) -> Self {
        self.set("max_hits", hits)
    }
}

impl<'a> IntoFuture for NewToken<'a> {
    type Output = String;
    type IntoFuture = BoxFuture<'a, String>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let created = self.api.create(self.fields).await;
            assert_eq!(created.status, 201, "{created:?}");
            created.json()["token"].as_str().unwrap().to_owned()
        }
        .boxed()
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Api {
    pub fn new(base: String) -> Self {
        Self {
            base,
            client: client(),
            handed_out: Arc::default(),
        }
    }

    /// Without the control token.
    pub fn plain(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub fn control(&self, method: &str, path: &str) -> RequestBuilder {
        self.plain(method, path).bearer_auth(CONTROL)
    }

    pub fn object(&self, method: &str, token: &str) -> RequestBuilder {
        self.plain(method, &format!("/object/{token}"))
    }

    pub async fn get(&self, token: &str) -> Answer {
        answer(self.object("GET", token)).await
    }

    pub async fn head(&self, token: &str) -> Answer {
        answer(self.object("HEAD", token)).await
    }

    pub async fn put(&self, token: &str, body: impl Into<reqwest::Body>) -> Answer {
        answer(self.object("PUT", token).body(body)).await
    }

    /// `POST /token`; `bucket` is `local` where nothing else is said.
    pub async fn create(&self, mut body: Value) -> Answer {
        if body.get("bucket").is_none() {
            body["bucket"] = json!("local");
        }
        let created = answer(self.control("POST", "/token").json(&body)).await;
        if created.status == 201
            && let Some(token) = created.json()["token"].as_str()
            && token.len() >= 20
        {
            self.handed_out.lock().push(token.to_owned());
        }
        created
    }

    /// A token for `method` on `key`; awaited, it is created.
    pub fn token(&self, method: &str, key: &str) -> NewToken<'_> {
        let fields = json!({"method": method, "key": key});
        NewToken { api: self, fields }
    }

    /// `DELETE /token/{token}`.
    pub async fn revoke(&self, token: &str) {
        let revoked = answer(self.control("DELETE", &format!("/token/{token}"))).await;
        assert_eq!(revoked.status, 204, "{revoked:?}");
    }

    /// `PATCH /token/{token}`.
    pub async fn patch(&self, token: &str, change: Value) -> Answer {
        let patch = self.control("PATCH", &format!("/token/{token}"));
        answer(patch.json(&change)).await
    }

    /// `GET /token/{token}`.
    pub async fn record(&self, token: &str) -> Value {
        let shown = answer(self.control("GET", &format!("/token/{token}"))).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        shown.json()
    }

    pub async fn status(&self, token: &str) -> Value {
        let shown = answer(self.control("GET", &format!("/token/{token}/status"))).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        shown.json()
    }

    pub async fn used_hits(&self, token: &str) -> u64 {
        self.record(token).await["used_hits"].as_u64().unwrap()
    }

    /// Uploads through a token of its own.
    pub async fn store(&self, key: &str, content_type: &str, body: impl Into<reqwest::Body>) {
        let token = self.token("PUT", key).await;
        let put = self
            .object("PUT", &token)
            .header("content-type", content_type)
            .body(body);
        let stored = answer(put).await;
        assert_eq!(stored.status, 200, "{stored:?}");
    }
}

pub async fn answer(request: RequestBuilder) -> Answer {
    try_answer(request).await.expect("a complete answer")
}

/// The answer of a gateway that may be killed meanwhile.
pub async fn try_answer(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks an error's status, code, message and request id, as the contract has them.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        let message = body["message"].as_str().expect("a message");
        assert!(message.len() > 5, "{body}");
        let id = self.header("x-request-id").expect("a request id");
        assert_eq!(body["request_id"], id);
        let fields: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["code", "message", "request_id"]);
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        self
    }

    /// Checks that an error's message contains `part`.
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        let body = self.json();
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(part), "`{part}` is not in `{message}`");
        self
    }
}

/// Waits until `holds` says so.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// `whole` with the fields of `changes` in place of its own; `null` removes one.
pub fn merge(mut whole: Value, changes: Value) -> Value {
    let fields = whole.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap().clone() {
        match value.is_null() {
            true => fields.remove(&name),
            false => fields.insert(name, value),
        };
    }
    whole
}

/// Unix seconds, `offset` from now.
pub fn now(offset: i64) -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap() + offset
}
