//! The router as hyper calls it: told who asks, and honest about connections that will close.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;
use tower::Service as _;

use super::Peer;
use super::drain::DrainedUpload;
use super::link::Link;
use super::stall::Watched;

/// Serves the requests of one connection.
pub(super) struct PeerService {
    pub(super) router: Router,
    pub(super) peer: Peer,
    pub(super) link: Arc<Link>,
    /// How long an upload may send nothing.
    pub(super) idle: Duration,
}

impl hyper::service::Service<Request<Incoming>> for PeerService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.link.head_complete();
        let has_body = !request.body().is_end_stream();
        let http2 = request.version() >= Version::HTTP_2;
        let upload = (has_body && !http2).then(|| Arc::clone(&self.link));
        self.link.set_body_unread(upload.is_some());
        let mut request = request.map(|body| match &upload {
            Some(link) => {
                let link = Arc::clone(link);
                Body::new(Watched::new(Upload { body, link }, self.idle))
            }
            None if has_body => Body::new(Watched::new(DrainedUpload::new(body), self.idle)),
            None => Body::empty(),
        });
        request.extensions_mut().insert(self.peer);
        Answering {
            // A router is always ready.
            route: self.router.clone().call(request),
            upload,
        }
    }
}

pin_project! {
    /// An answer that comes before the upload was read to its end says `Connection: close`: hyper
    /// closes then, and the client must not send its next request into that.
    pub(super) struct Answering {
        #[pin]
        route: RouteFuture<Infallible>,
        upload: Option<Arc<Link>>,
    }
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.route.poll(cx))?;
        if this.upload.as_ref().is_some_and(|link| link.body_unread()) {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(answer))
    }
}

/// Notes when the last byte was read.
struct Upload {
    body: Incoming,
    link: Arc<Link>,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.link.set_body_unread(false);
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
