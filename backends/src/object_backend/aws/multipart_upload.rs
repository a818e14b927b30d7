//! An upload of unknown length, or too large for one request: parts, unless it turns out small.

use std::mem;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::clients::COMPLETE;
use super::multipart::Multipart;
use super::upload_target::{Target, broken, task_error, within};
use crate::error::{BackendError, Result};
use crate::object_backend::multipart::part_size::part_size;
use crate::object_backend::part_buffer::PartBuffer;
use crate::object_backend::{Stored, Upload};

/// Memory: the part that is gathered, and the one that is sent meanwhile.
pub struct PartedUpload {
    announced: Option<u64>,
    gathered: PartBuffer,
    parts: u64,
    size: u64,
    /// A write was given up in the middle: nobody knows which of its bytes are here.
    torn: bool,
    state: State,
}

/// Where the requests are. They run in a task of their own: one that is given up in the middle
/// would lose the name of an upload that storage has just begun.
enum State {
    Idle(Box<Multipart>),
    Sending(JoinHandle<(Box<Multipart>, Result<()>)>),
    Over,
}

impl PartedUpload {
    pub fn new(target: Target) -> Self {
        Self {
            announced: target.options.content_length,
            gathered: PartBuffer::default(),
            parts: 0,
            size: 0,
            torn: false,
            state: State::Idle(Box::new(Multipart::new(target))),
        }
    }

    /// Starts to send what is gathered, once the part before it is there.
    async fn send_part(&mut self) -> Result<()> {
        self.wait().await?;
        let State::Idle(mut multipart) = mem::replace(&mut self.state, State::Over) else {
            return Err(broken());
        };
        let length = self.gathered.length();
        let pieces = self.gathered.take();
        self.parts += 1;
        self.state = State::Sending(tokio::spawn(async move {
            let result = multipart.send(pieces, length).await;
            (multipart, result)
        }));
        Ok(())
    }

    /// Waits for the request under way. Given up in the middle, it is there to be waited for again.
    async fn wait(&mut self) -> Result<()> {
        let State::Sending(task) = &mut self.state else {
            return Ok(());
        };
        let ended = task.await;
        self.state = State::Over;
        let (multipart, result) = ended.map_err(task_error)?;
        self.state = State::Idle(multipart);
        // The part is missing: nothing that follows may be taken.
        self.torn |= result.is_err();
        result.map_err(BackendError::of_a_part)
    }

    async fn take(&mut self, mut piece: Bytes) -> Result<()> {
        while !piece.is_empty() {
            // Parts of exactly this size, which some storage insists on. A full one waits for the
            // next byte: an object of one part is a single request.
            let room = part_size(self.parts, self.announced).saturating_sub(self.gathered.length());
            if room == 0 {
                self.send_part().await?;
                continue;
            }
            let fitting = usize::try_from(room).unwrap_or(usize::MAX).min(piece.len());
            let fitting = piece.split_to(fitting);
            self.size += fitting.len() as u64;
            self.gathered.push(fitting);
        }
        Ok(())
    }

    async fn conclude(mut self) -> Result<Stored> {
        let result = self.complete().await;
        if result.is_ok() {
            self.state = State::Over;
        }
        // On an error the drop aborts.
        result
    }

    async fn complete(&mut self) -> Result<Stored> {
        self.wait().await?;
        if self.torn {
            return Err(broken());
        }
        if self.parts > 0 {
            self.send_part().await?;
            self.wait().await?;
        }
        let State::Idle(multipart) = &mut self.state else {
            return Err(broken());
        };
        if self.parts > 0 {
            return multipart.complete(self.size).await;
        }
        multipart.target.check_fence()?;
        let body = multipart.target.whole(self.gathered.take());
        within(
            COMPLETE,
            "put",
            multipart.target.put_object(body, self.size),
        )
        .await
    }
}

#[async_trait]
impl Upload for PartedUpload {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        if mem::replace(&mut self.torn, true) {
            return Err(broken());
        }
        self.take(piece).await?;
        self.torn = false;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored> {
        // To its end also where nobody waits for it: half a completion helps nobody.
        tokio::spawn((*self).conclude()).await.map_err(task_error)?
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        let state = mem::replace(&mut self.state, State::Over);
        tokio::spawn(abort(state)).await.map_err(task_error)?
    }
}

/// Removes the parts that storage has, once the request under way has ended.
async fn abort(state: State) -> Result<()> {
    let mut multipart = match state {
        State::Idle(multipart) => multipart,
        State::Sending(task) => match task.await {
            Ok((multipart, _)) => multipart,
            Err(_) => return Ok(()),
        },
        State::Over => return Ok(()),
    };
    multipart.abort().await
}

impl Drop for PartedUpload {
    fn drop(&mut self) {
        let state = mem::replace(&mut self.state, State::Over);
        let open = match &state {
            State::Idle(multipart) => multipart.has_begun(),
            State::Sending(_) => true,
            State::Over => false,
        };
        let (true, Ok(runtime)) = (open, tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = abort(state).await {
                tracing::warn!(%error, "parts of an upload that was given up may be left in storage");
            }
        });
    }
}
