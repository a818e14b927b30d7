//! An upload of a known length: one request, whose bytes go to storage as they come.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::clients::{COMPLETE, SILENCE};
use super::error::strange;
use super::request_body::to_come;
use super::upload_target::{Target, broken, task_error, within};
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::{Stored, Upload};

/// Pieces that wait for the connection.
const WAITING: usize = 2;

/// Holds the last piece back until [`Upload::finish`]: storage that has been announced more bytes
/// than it got stores nothing.
pub struct SinglePut {
    target: Target,
    announced: u64,
    taken: u64,
    held: Option<Bytes>,
    state: State,
}

enum State {
    /// Nothing was asked yet: one piece may be all.
    Waiting,
    Sending(Request),
    Over,
}

struct Request {
    /// `None` once the last one is sent: a body that is short for its length then breaks.
    pieces: Option<mpsc::Sender<Bytes>>,
    answer: JoinHandle<Result<Stored>>,
}

impl Drop for Request {
    /// Closes the connection in the middle of the body.
    fn drop(&mut self) {
        self.answer.abort();
    }
}

impl SinglePut {
    pub fn new(target: Target, announced: u64) -> Self {
        Self {
            target,
            announced,
            taken: 0,
            held: None,
            state: State::Waiting,
        }
    }

    fn begin(&self) -> Request {
        let (pieces, receiver) = mpsc::channel(WAITING);
        let (target, length) = (self.target.clone(), self.announced);
        let body = to_come(receiver, length, target.options.fence.clone());
        let answer = tokio::spawn(async move { target.put_object(body, length).await });
        Request {
            pieces: Some(pieces),
            answer,
        }
    }

    /// A future that is dropped in the middle loses the piece; the body then breaks for its length.
    async fn send(&mut self, piece: Bytes) -> Result<()> {
        if let State::Waiting = self.state {
            self.state = State::Sending(self.begin());
        }
        let State::Sending(request) = &mut self.state else {
            return Err(broken());
        };
        let Some(pieces) = &request.pieces else {
            return Err(broken());
        };
        let error = tokio::select! {
            biased;
            ended = &mut request.answer => match ended {
                Ok(Err(error)) => error,
                Ok(Ok(_)) => strange("put", "storage answered before the last byte"),
                Err(error) => task_error(error),
            },
            sent = tokio::time::timeout(SILENCE, pieces.send(piece)) => match sent {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => match (&mut request.answer).await {
                    Ok(Err(error)) => error,
                    Ok(Ok(_)) => strange("put", "storage answered before the last byte"),
                    Err(error) => task_error(error),
                },
                Err(_) => BackendError::new(ErrorKind::Timeout, "put"),
            },
        };
        self.state = State::Over;
        Err(error)
    }

    async fn conclude(mut self) -> Result<Stored> {
        if self.taken != self.announced {
            return Err(strange("put", "fewer bytes than were announced"));
        }
        self.target.check_fence()?;
        let last = self.held.take();
        match (&self.state, last) {
            (State::Waiting, last) => {
                let body = self.target.whole(last.into_iter().collect());
                let request = self.target.put_object(body, self.taken);
                within(COMPLETE, "put", request).await
            }
            (State::Sending(_), Some(last)) => {
                self.send(last).await?;
                self.answer().await
            }
            (State::Sending(_), None) | (State::Over, _) => Err(broken()),
        }
    }

    async fn answer(&mut self) -> Result<Stored> {
        let State::Sending(request) = &mut self.state else {
            return Err(broken());
        };
        request.pieces = None;
        let answer = async { (&mut request.answer).await.map_err(task_error)? };
        within(COMPLETE, "put", answer).await
    }
}

#[async_trait]
impl Upload for SinglePut {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.taken += piece.len() as u64;
        if self.taken > self.announced {
            self.state = State::Over;
            return Err(strange("put", "more bytes than were announced"));
        }
        match self.held.replace(piece) {
            Some(previous) => self.send(previous).await,
            None => Ok(()),
        }
    }

    async fn finish(self: Box<Self>) -> Result<Stored> {
        // To its end also where nobody waits for it: half a completion helps nobody.
        tokio::spawn((*self).conclude()).await.map_err(task_error)?
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        let State::Sending(request) = &mut self.state else {
            return Ok(());
        };
        request.answer.abort();
        // Its body is gone when this returns; the piece that was held back was never sent.
        let _ = (&mut request.answer).await;
        Ok(())
    }
}
