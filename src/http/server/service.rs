//! The hyper service of one connection: calls the router with the peer's address and a stream permit.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, ORIGIN};
use http::{Request, StatusCode, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;
use tower::Service as _;

use super::connection_state::ConnectionState;
use super::drain_on_drop::DrainOnDrop;
use super::idle_timeout::TimeoutBody;
use super::lingering_close::ErrorAnswer;
use super::stream_limit::{ConnectionStreamLimit, PermitBody, StreamPermit};
use super::{Peer, ServerSettings, Source};

/// Serves the requests of one connection.
pub(super) struct ConnectionService {
    pub(super) router: Router,
    pub(super) peer: Peer,
    pub(super) source: Source,
    pub(super) connection: Arc<ConnectionState>,
    pub(super) settings: Arc<ServerSettings>,
    /// HTTP/2 only.
    pub(super) stream_limit: Option<ConnectionStreamLimit>,
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        self.connection.head_complete();
        let has_body = !request.body().is_end_stream();
        let idle = self.settings.idle;
        let http2 = request.version() >= Version::HTTP_2;
        let upload = (has_body && !http2).then(|| Arc::clone(&self.connection));
        self.connection.set_body_unread(upload.is_some());
        let mut request = request.map(|body| match &upload {
            Some(connection) => {
                let connection = Arc::clone(connection);
                Body::new(TimeoutBody::new(TrackedUpload { body, connection }, idle))
            }
            None if has_body => Body::new(TimeoutBody::new(DrainOnDrop::new(body), idle)),
            None => Body::empty(),
        });
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.source);
        let state = match &self.stream_limit {
            None => State::routed(&self.router, request, None),
            Some(limit) => self.call_within(limit, request),
        };
        ResponseFuture { state, upload }
    }
}

impl ConnectionService {
    fn call_within(&self, limit: &ConnectionStreamLimit, request: Request<Body>) -> State {
        if is_misdirected(&request) {
            let answer = ErrorAnswer {
                status: StatusCode::BAD_REQUEST,
                code: "bad_request",
                message: "The Host is not the :authority of the request. Send one of them."
                    .to_owned(),
            };
            return State::answered(&answer, &self.settings, &request);
        }
        if let Some(permit) = limit.try_acquire() {
            return State::routed(&self.router, request, Some(permit));
        }
        match limit.acquire(request.headers(), self.settings.idle) {
            None => State::overloaded(&self.settings, &request),
            Some(permit) => State::Waiting {
                permit: Box::pin(permit),
                waiting: Some(Box::new(Waiting {
                    router: self.router.clone(),
                    settings: Arc::clone(&self.settings),
                    request,
                })),
            },
        }
    }
}

/// RFC 9113 §8.3.1: a Host that differs from `:authority`, or more than one.
fn is_misdirected(request: &Request<Body>) -> bool {
    let authority = request.uri().authority();
    let is_other = |host: &HeaderValue| {
        authority.is_some_and(|authority| {
            !host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
        })
    };
    let mut hosts = request.headers().get_all(HOST).iter();
    hosts.next().is_some_and(is_other) || hosts.next().is_some()
}

pin_project! {
    /// Adds `Connection: close` to an answer that precedes the end of the upload: hyper closes then, and
    /// the client must not send another request.
    pub(super) struct ResponseFuture {
        #[pin]
        state: State,
        upload: Option<Arc<ConnectionState>>,
    }
}

/// A request whose stream has no permit yet.
struct Waiting {
    router: Router,
    settings: Arc<ServerSettings>,
    request: Request<Body>,
}

pin_project! {
    // Nearly every request is routed at once, and a box would cost it an allocation.
    #[allow(clippy::large_enum_variant)]
    #[project = StateProjection]
    enum State {
        Waiting {
            permit: Pin<Box<dyn Future<Output = Option<StreamPermit>> + Send>>,
            waiting: Option<Box<Waiting>>,
        },
        Routed {
            #[pin]
            route: RouteFuture<Infallible>,
            permit: Option<StreamPermit>,
        },
        Answered {
            answer: Option<Box<Response>>,
        },
    }
}

impl State {
    /// A router is always ready.
    fn routed(router: &Router, request: Request<Body>, permit: Option<StreamPermit>) -> Self {
        Self::Routed {
            route: router.clone().call(request),
            permit,
        }
    }

    fn answered(answer: &ErrorAnswer, settings: &ServerSettings, request: &Request<Body>) -> Self {
        let origin = request.headers().get(ORIGIN).map(HeaderValue::as_bytes);
        let answer = answer.to_response(&settings.cors, origin);
        Self::Answered {
            answer: Some(Box::new(answer)),
        }
    }

    fn overloaded(settings: &ServerSettings, request: &Request<Body>) -> Self {
        let answer = ErrorAnswer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "unavailable",
            message: "Too many streams of HTTP/2 are open. Try again later.".to_owned(),
        };
        Self::answered(&answer, settings, request)
    }
}

impl Future for State {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        loop {
            let next = match self.as_mut().project() {
                StateProjection::Waiting { permit, waiting } => {
                    let permit = ready!(permit.as_mut().poll(cx));
                    let Some(waiting) = waiting.take() else {
                        return Poll::Pending;
                    };
                    let Waiting {
                        router,
                        settings,
                        request,
                    } = *waiting;
                    match permit {
                        Some(permit) => Self::routed(&router, request, Some(permit)),
                        None => Self::overloaded(&settings, &request),
                    }
                }
                StateProjection::Routed { route, permit } => {
                    let Ok(answer) = ready!(route.poll(cx));
                    return Poll::Ready(match permit.take() {
                        Some(permit) => answer.map(|body| Body::new(PermitBody::new(body, permit))),
                        None => answer,
                    });
                }
                StateProjection::Answered { answer } => {
                    return answer
                        .take()
                        .map_or(Poll::Pending, |answer| Poll::Ready(*answer));
                }
            };
            self.set(next);
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.state.poll(cx));
        if this
            .upload
            .as_ref()
            .is_some_and(|connection| connection.body_unread())
        {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(answer))
    }
}

/// An HTTP/1 request body that records when its last byte was read.
struct TrackedUpload {
    body: Incoming,
    connection: Arc<ConnectionState>,
}

impl HttpBody for TrackedUpload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.connection.set_body_unread(false);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
