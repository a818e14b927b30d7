//! An upload of a known length: one PUT request that streams its body.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use super::error::invalid_response;
use super::request_body::to_come;
use super::upload_target::{UploadTarget, within};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::remote::timeouts::{COMPLETE_TIMEOUT, RESPONSE_TIMEOUT};
use crate::object_backend::remote::upload_task::{run_detached, task_error};
use crate::object_backend::upload::{check_fence, earlier_write_failed};
use crate::object_backend::{Stored, Upload};

/// Chunks that wait for the connection.
const CHANNEL_CAPACITY: usize = 2;

/// Holds the last chunk back until [`Upload::finish`]: storage that receives fewer bytes than were
/// announced stores nothing.
pub struct SinglePut {
    target: UploadTarget,
    announced: u64,
    taken: u64,
    last_chunk: Option<Bytes>,
    state: State,
}

enum State {
    /// No request was sent yet: one chunk may be the whole object.
    Waiting,
    Sending(Request),
    Ended,
}

struct Request {
    /// `None` once the last chunk is sent. A body that is short for its length then breaks.
    chunks: Option<mpsc::Sender<Bytes>>,
    response: JoinHandle<Result<Stored>>,
}

impl Drop for Request {
    /// Closes the connection in the middle of the body.
    fn drop(&mut self) {
        self.response.abort();
    }
}

impl SinglePut {
    pub fn new(target: UploadTarget, announced: u64) -> Self {
        Self {
            target,
            announced,
            taken: 0,
            last_chunk: None,
            state: State::Waiting,
        }
    }

    fn begin(&self) -> Request {
        let (chunks, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let (target, length) = (self.target.clone(), self.announced);
        let body = to_come(receiver, length, target.options.fence.clone());
        let response = tokio::spawn(async move { target.put_object(body, length).await });
        Request {
            chunks: Some(chunks),
            response,
        }
    }

    /// A future that is dropped in the middle loses the chunk; the body then breaks for its length.
    async fn send(&mut self, chunk: Bytes) -> Result<()> {
        if let State::Waiting = self.state {
            self.state = State::Sending(self.begin());
        }
        let State::Sending(request) = &mut self.state else {
            return Err(earlier_write_failed());
        };
        let Some(chunks) = &request.chunks else {
            return Err(earlier_write_failed());
        };
        let error = tokio::select! {
            biased;
            ended = &mut request.response => early_end(ended),
            sent = tokio::time::timeout(RESPONSE_TIMEOUT, chunks.send(chunk)) => match sent {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => early_end((&mut request.response).await),
                Err(_) => BackendError::new(ErrorKind::Timeout, "put"),
            },
        };
        self.state = State::Ended;
        Err(error)
    }

    async fn complete(mut self) -> Result<Stored> {
        if self.taken != self.announced {
            return Err(invalid_response("put", "fewer bytes than were announced"));
        }
        check_fence(self.target.options.fence.as_ref())?;
        let last = self.last_chunk.take();
        match (&self.state, last) {
            (State::Waiting, last) => {
                let body = self.target.body(last.into_iter().collect());
                let request = self.target.put_object(body, self.taken);
                within(COMPLETE_TIMEOUT, "put", request).await
            }
            (State::Sending(_), Some(last)) => {
                self.send(last).await?;
                self.response().await
            }
            (State::Sending(_), None) | (State::Ended, _) => Err(earlier_write_failed()),
        }
    }

    async fn response(&mut self) -> Result<Stored> {
        let State::Sending(request) = &mut self.state else {
            return Err(earlier_write_failed());
        };
        request.chunks = None;
        let response = async {
            let ended = (&mut request.response).await;
            ended.map_err(|error| task_error("put", error))?
        };
        within(COMPLETE_TIMEOUT, "put", response).await
    }
}

/// The error of a request that ended before its last byte was sent.
fn early_end(ended: Result<Result<Stored>, JoinError>) -> BackendError {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(_)) => invalid_response("put", "storage answered before the last byte"),
        Err(error) => task_error("put", error),
    }
}

#[async_trait]
impl Upload for SinglePut {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.taken += chunk.len() as u64;
        if self.taken > self.announced {
            self.state = State::Ended;
            return Err(invalid_response("put", "more bytes than were announced"));
        }
        match self.last_chunk.replace(chunk) {
            Some(previous) => self.send(previous).await,
            None => Ok(()),
        }
    }

    async fn finish(self: Box<Self>) -> Result<Stored> {
        run_detached("put", (*self).complete()).await
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        let State::Sending(request) = &mut self.state else {
            return Ok(());
        };
        request.response.abort();
        // The request's body is dropped when this returns; the last chunk was never sent.
        let _ = (&mut request.response).await;
        Ok(())
    }
}
