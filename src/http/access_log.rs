//! Outermost middleware: request id, client address, JSON error bodies, access log, request metrics.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::token_store::TokenId;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use ipnet::IpNet;

use super::forwarded::client_of_request;
use super::request_context::{self, RequestContext, X_REQUEST_ID};
use super::server::Source;
use crate::error::{ErrorBody, GatewayError};
use crate::telemetry::record;

/// Response extension: the token's id, for the access log.
#[derive(Debug, Clone, Copy)]
pub struct LoggedTokenId(pub TokenId);

/// Response extension: the response keeps its own body, although it has an error status.
#[derive(Debug, Clone, Copy)]
pub struct OwnErrorBody;

pub async fn log_access(
    State(trusted_proxies): State<Arc<[IpNet]>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let source = request.extensions().get::<Source>();
    let source = source.map_or(ClientAddress::Unknown, |source| source.0);
    let context = RequestContext {
        request_id: request_context::request_id(request.headers()),
        client_ip: client_of_request(source, request.headers(), &trusted_proxies),
    };
    let mut line = AccessLogLine {
        began,
        method: request_context::method_label(request.method()),
        route: request.extensions().get::<MatchedPath>().cloned(),
        status: StatusCode::OK,
        bytes: 0,
        error: None,
        token: None,
        context: context.clone(),
    };
    request.extensions_mut().insert(context);

    let mut response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if is_error && response.extensions().get::<OwnErrorBody>().is_none() {
        let error = error_of(&mut response);
        let body = serde_json::json!({
            "code": error.code,
            "message": error.message,
            "request_id": line.context.request_id(),
        });
        *response.body_mut() = Body::from(body.to_string());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        line.error = Some(error);
    }
    let id = line.context.request_id.clone();
    response.headers_mut().insert(X_REQUEST_ID.clone(), id);
    line.status = response.status();
    line.token = response.extensions().get::<LoggedTokenId>().copied();
    response.map(|inner| Body::new(LoggedBody { inner, line }))
}

/// The error in the response's extensions, or one for a bare status of the router.
fn error_of(response: &mut Response) -> ErrorBody {
    if let Some(error) = response.extensions_mut().remove::<ErrorBody>() {
        return error;
    }
    let status = response.status();
    let message = match status {
        // The router adds the header after this layer.
        StatusCode::METHOD_NOT_ALLOWED => "not allowed here; the header Allow names what is",
        _ => "the request cannot be understood",
    };
    let code = match status {
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::NOT_FOUND => "not_found",
        status if status.is_server_error() => "internal_error",
        _ => "bad_request",
    };
    ErrorBody {
        code,
        message: message.to_owned(),
        cause: None,
    }
}

/// Adds the security headers of every answer: browsers must not guess its type, nor send its URL, which
/// is a secret, as a referrer. `server::lingering_close` adds the same ones.
pub async fn add_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

/// The answer where a handler has panicked; the panic hook logs the panic.
pub fn answer_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    GatewayError::Internal("a handler panicked".into()).into_response()
}

/// One line of the access log, written when the answer's body is dropped.
struct AccessLogLine {
    began: Instant,
    method: &'static str,
    /// The route's template: the path contains the token.
    route: Option<MatchedPath>,
    status: StatusCode,
    bytes: u64,
    error: Option<ErrorBody>,
    token: Option<LoggedTokenId>,
    context: RequestContext,
}

impl Drop for AccessLogLine {
    fn drop(&mut self) {
        let route = self.route.as_ref().map_or("other", MatchedPath::as_str);
        let elapsed = self.began.elapsed();
        record::http_request(route, self.method, self.status.as_u16(), elapsed);
        let token_id = self.token.map(|token| tracing::field::display(token.0));
        let code = self.error.as_ref().map(|error| error.code);
        let cause = self.error.as_ref().and_then(|error| error.cause.as_deref());
        macro_rules! write {
            ($level:expr) => {
                tracing::event!(
                    target: "access",
                    $level,
                    request_id = self.context.request_id(),
                    client.address = %self.context.client_ip,
                    http.request.method = self.method,
                    http.route = route,
                    http.response.status_code = self.status.as_u16(),
                    error.type = code,
                    exception.message = cause,
                    token_id,
                    http.response.body.size = self.bytes,
                    duration_ms = elapsed.as_millis() as u64,
                )
            };
        }
        if self.status.is_server_error() {
            write!(tracing::Level::ERROR);
        } else {
            write!(tracing::Level::INFO);
        }
    }
}

struct LoggedBody {
    inner: Body,
    line: AccessLogLine,
}

impl http_body::Body for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.line.bytes += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
