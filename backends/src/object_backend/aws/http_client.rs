//! The HTTP client below the SDK.
//!
//! Responses to a HEAD or GET of an object go past the SDK (see
//! [`response`](crate::object_backend::remote::response)); those to a writing request must be storage's own
//! (see [`acknowledgement`](crate::object_backend::remote::acknowledgement)). The caller of a request sets
//! its time limit.

use std::time::Duration;

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::{HttpClient, RuntimeComponents};
use aws_sdk_s3::error::ConnectorError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use http::request::Parts;

use crate::object_backend::remote::acknowledgement::Write;
use crate::object_backend::remote::http_client::http_client;
use crate::object_backend::remote::response::{self, capture};

#[derive(Debug, Clone)]
pub struct SdkHttpClient {
    client: reqwest::Client,
    /// False for services that give out keys.
    is_storage: bool,
}

impl SdkHttpClient {
    /// Needs a rustls provider that is installed for the process.
    pub fn new(connect: Duration) -> reqwest::Result<Self> {
        Ok(Self {
            client: http_client(connect)?,
            is_storage: false,
        })
    }

    /// Checks responses as those of storage.
    pub fn for_storage(self) -> Self {
        Self {
            is_storage: true,
            ..self
        }
    }
}

impl HttpClient for SdkHttpClient {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SdkHttpClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.clone();
        HttpConnectorFuture::new(async move { send(http, request).await })
    }
}

async fn send(http: SdkHttpClient, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let SdkHttpClient { client, is_storage } = http;
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    if is_storage && is_object_read(&request) && capture::is_wanted() {
        return send_captured(&client, request.into_parts().0).await;
    }
    let write = Write::of(request.method(), request.uri().query()).filter(|_| is_storage);
    let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))
        .map_err(|error| ConnectorError::user(error.without_url().into()))?;
    let mut response = client.execute(request).await.map_err(|error| {
        // A caller treats a connect timeout as any other failed connection.
        ConnectorError::io(error.without_url().into())
    })?;
    if let Some(write) = write {
        let checked = write.check(response.status(), response.headers());
        // The SDK repeats the request where that is harmless.
        checked.map_err(|error| ConnectorError::io(error.into()))?;
        write.strip(response.status(), response.headers_mut());
    }
    let response = http::Response::<reqwest::Body>::from(response);
    HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

/// A HEAD or GET of an object: the SDK also sends requests for keys and sessions from this task.
fn is_object_read<B>(request: &http::Request<B>) -> bool {
    match *request.method() {
        http::Method::HEAD => true,
        http::Method::GET => {
            let query = request.uri().query().unwrap_or_default();
            query.split('&').any(|pair| pair == "x-id=GetObject")
        }
        _ => false,
    }
}

/// Sends a HEAD or GET of an object. The caller takes the response; the SDK sees an empty one.
async fn send_captured(
    client: &reqwest::Client,
    parts: Parts,
) -> Result<HttpResponse, ConnectorError> {
    let response = response::send(client, parts).await;
    let is_ok = response.is_ok();
    capture::offer(response);
    if !is_ok {
        return Err(ConnectorError::other("captured".into(), None));
    }
    let response = http::Response::builder().header("content-length", "0");
    let response = response.body(SdkBody::empty());
    let response = response.map_err(|error| ConnectorError::other(error.into(), None))?;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}
