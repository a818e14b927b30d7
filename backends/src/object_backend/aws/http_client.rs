//! The HTTP client below the SDK: the gateway's own, with its one TLS stack.
//!
//! Answers to a GET or HEAD of an object do not come to the SDK at all: see
//! [`answer`](crate::object_backend::remote::response). Those to an upload have to be storage's own.
//!
//! Waiting for an answer has its limits where the request is made: how long is too long depends
//! on it.

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
use crate::object_backend::remote::response::{capture, exchange};

#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    /// What is asked is storage, not a service that gives keys.
    is_storage: bool,
}

impl Http {
    /// Needs a rustls provider that is installed for the process.
    pub fn new(connect: Duration) -> reqwest::Result<Self> {
        Ok(Self {
            client: http_client(connect)?,
            is_storage: false,
        })
    }

    /// Judges answers as those of storage.
    pub fn for_storage(self) -> Self {
        Self {
            is_storage: true,
            ..self
        }
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.clone();
        HttpConnectorFuture::new(async move { send(http, request).await })
    }
}

async fn send(http: Http, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let Http { client, is_storage } = http;
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    if is_storage && is_read(&request) && capture::is_wanted() {
        return read(&client, request.into_parts().0).await;
    }
    let write = Write::of(request.method(), request.uri().query()).filter(|_| is_storage);
    let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))
        .map_err(|error| ConnectorError::user(error.without_url().into()))?;
    let mut response = client.execute(request).await.map_err(|error| {
        // Connections that fail in time or by it: for a caller they are the same.
        ConnectorError::io(error.without_url().into())
    })?;
    if let Some(write) = write {
        let judged = write.check(response.status(), response.headers());
        // Repeated where repeating is harmless.
        judged.map_err(|error| ConnectorError::io(error.into()))?;
        write.strip(response.status(), response.headers_mut());
    }
    let response = http::Response::<reqwest::Body>::from(response);
    HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

/// Of an object. The SDK asks for keys and sessions from the same task.
fn is_read<B>(request: &http::Request<B>) -> bool {
    match *request.method() {
        http::Method::HEAD => true,
        http::Method::GET => {
            let query = request.uri().query().unwrap_or_default();
            query.split('&').any(|pair| pair == "x-id=GetObject")
        }
        _ => false,
    }
}

/// Sends what reads an object. The caller takes the answer; the SDK is told of one without bytes.
async fn read(client: &reqwest::Client, parts: Parts) -> Result<HttpResponse, ConnectorError> {
    let answer = exchange(client, parts).await;
    let is_ok = answer.is_ok();
    capture::offer(answer);
    if !is_ok {
        return Err(ConnectorError::other("taken".into(), None));
    }
    let response = http::Response::builder().header("content-length", "0");
    let response = response.body(SdkBody::empty());
    let response = response.map_err(|error| ConnectorError::other(error.into(), None))?;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}
