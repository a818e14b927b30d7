//! The driver of multipart uploads, for every adapter of remote storage.
//!
//! ```text
//!              the buffer holds a part and one more byte comes
//!   Buffering ────────────────────────────────────────────────▶ Sending
//!    │  │  ▲                                                     │   │
//!    │  │  └────────────── storage has the part ─────────────────┘   │
//!    │  │ finish, after a first part                                 │
//!    │  └───────────▶ last part ─▶ complete ─▶ the object is visible │
//!    │ finish, before a first part                                   │
//!    └──────────────▶ put_whole ─────────────▶ the object is visible │
//!                                                                    │
//!   an error, abort() or a drop: no further write is taken ◀─────────┘
//!   and abort removes the parts once the request under way has ended
//! ```

mod part_size;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use self::part_size::part_size;
use super::part_buffer::PartBuffer;
use super::remote::upload_task::{run_detached, task_error};
use super::upload::{check_fence, earlier_write_failed};
use super::{Fence, PutOptions, Recorder, Stored, Upload};
use crate::error::{BackendError, Result};

/// The requests of one upload to one key: four of a multipart upload, and the one that a small
/// object needs in their place.
///
/// The driver sends one at a time and lets each end: a request that is given up in the middle could
/// lose the id of an upload that storage has just begun. After an error it only aborts.
#[async_trait]
pub trait MultipartRequests: Send + 'static {
    /// The client library keeps each part until it is given the next one. The driver then waits
    /// for a part before it fills the next: at most two are in memory.
    const KEEPS_A_PART: bool;

    /// CreateMultipartUpload, sent once: a second try would begin a second upload. Returns the id of
    /// the upload, where [`ObjectBackend::abort_upload`](super::ObjectBackend::abort_upload) takes it.
    async fn begin(&mut self) -> Result<Option<String>>;

    /// UploadPart with the next part of `length` bytes. May be repeated.
    async fn part(&mut self, chunks: VecDeque<Bytes>, length: u64) -> Result<()>;

    /// CompleteMultipartUpload, which makes an object of `size` bytes visible. Sent once: the second
    /// try of a success finds that the key is taken, or no such upload.
    async fn complete(&mut self, size: u64) -> Result<Stored>;

    /// AbortMultipartUpload. An upload that was not begun or is gone is a success.
    async fn abort(&mut self) -> Result<()>;

    /// PutObject with all `size` bytes. Sent once, as `complete`.
    async fn put_whole(&mut self, chunks: VecDeque<Bytes>, size: u64) -> Result<Stored>;
}

/// An [`Upload`] of unknown length, or one that is too large for a single request.
pub struct MultipartDriver<R: MultipartRequests> {
    announced: Option<u64>,
    fence: Option<Arc<dyn Fence>>,
    recorder: Option<Arc<dyn Recorder>>,
    buffer: PartBuffer,
    parts: u64,
    size: u64,
    /// A write failed or was dropped in the middle: some of its bytes may be missing.
    torn: bool,
    state: State<R>,
}

enum State<R> {
    Buffering(Box<R>),
    Sending(JoinHandle<(Box<R>, Result<()>)>),
    Ended,
}

impl<R: MultipartRequests> MultipartDriver<R> {
    pub fn new(requests: R, options: &PutOptions) -> Self {
        Self {
            announced: options.content_length,
            fence: options.fence.clone(),
            recorder: options.recorder.clone(),
            buffer: PartBuffer::default(),
            parts: 0,
            size: 0,
            torn: false,
            state: State::Buffering(Box::new(requests)),
        }
    }

    /// Sends the buffered part in a task, once storage has the part before it.
    async fn send_part(&mut self) -> Result<()> {
        self.wait().await?;
        let State::Buffering(mut requests) = mem::replace(&mut self.state, State::Ended) else {
            return Err(earlier_write_failed());
        };
        let length = self.buffer.length();
        let chunks = self.buffer.take();
        let recorder = self.recorder.clone();
        let is_first = self.parts == 0;
        self.parts += 1;
        self.state = State::Sending(tokio::spawn(async move {
            let sent = async {
                if is_first
                    && let Some(id) = requests.begin().await?
                    && let Some(recorder) = recorder
                {
                    recorder.record(&id).await?;
                }
                requests.part(chunks, length).await
            };
            let result = sent.await;
            (requests, result)
        }));
        match R::KEEPS_A_PART {
            true => self.wait().await,
            false => Ok(()),
        }
    }

    /// Waits for the part under way. A call that is dropped in the middle can be made again.
    async fn wait(&mut self) -> Result<()> {
        let State::Sending(task) = &mut self.state else {
            return Ok(());
        };
        let ended = task.await;
        self.state = State::Ended;
        let (requests, result) = ended.map_err(|error| task_error("put", error))?;
        self.state = State::Buffering(requests);
        result.map_err(BackendError::of_a_part)
    }

    /// Cuts parts of exactly the part size, which some storage insists on. A full part waits for the
    /// next byte: an object of one part is a single request.
    async fn take(&mut self, mut chunk: Bytes) -> Result<()> {
        while !chunk.is_empty() {
            let free = part_size(self.parts, self.announced).saturating_sub(self.buffer.length());
            if free == 0 {
                self.send_part().await?;
                continue;
            }
            let fitting = usize::try_from(free).unwrap_or(usize::MAX).min(chunk.len());
            let fitting = chunk.split_to(fitting);
            self.size += fitting.len() as u64;
            self.buffer.push(fitting);
        }
        Ok(())
    }

    /// Where it fails, the drop aborts.
    async fn complete(mut self) -> Result<Stored> {
        self.wait().await?;
        if self.torn {
            return Err(earlier_write_failed());
        }
        if self.parts > 0 {
            self.send_part().await?;
            self.wait().await?;
        }
        // The last look: a writer that is stopped after it finds its upload aborted by the recovery.
        check_fence(self.fence.as_ref())?;
        let State::Buffering(requests) = &mut self.state else {
            return Err(earlier_write_failed());
        };
        let stored = match self.parts {
            0 => requests.put_whole(self.buffer.take(), self.size).await?,
            _ => requests.complete(self.size).await?,
        };
        self.state = State::Ended;
        Ok(stored)
    }
}

#[async_trait]
impl<R: MultipartRequests> Upload for MultipartDriver<R> {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if mem::replace(&mut self.torn, true) {
            return Err(earlier_write_failed());
        }
        self.take(chunk).await?;
        self.torn = false;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored> {
        run_detached("put", (*self).complete()).await
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        let state = mem::replace(&mut self.state, State::Ended);
        run_detached("abort", abort(state)).await
    }
}

/// Removes the parts that storage has, once the request under way has ended.
async fn abort<R: MultipartRequests>(state: State<R>) -> Result<()> {
    let mut requests = match state {
        State::Buffering(requests) => requests,
        State::Sending(task) => match task.await {
            Ok((requests, _)) => requests,
            Err(_) => return Ok(()),
        },
        State::Ended => return Ok(()),
    };
    requests.abort().await
}

impl<R: MultipartRequests> Drop for MultipartDriver<R> {
    fn drop(&mut self) {
        let state = mem::replace(&mut self.state, State::Ended);
        if self.parts == 0 || matches!(state, State::Ended) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = abort(state).await {
                tracing::warn!(
                    exception.message = %error, "parts of an abandoned upload may be left in storage"
                );
            }
        });
    }
}
