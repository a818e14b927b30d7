//! One upload: a single request where it is small, parts where it is not.

use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use opendal::{Buffer, Metadata, Writer};
use tokio::task::JoinHandle;

use super::OpendalBackend;
use super::error::backend_error;
use crate::error::{BackendError, ErrorKind, Result};
use crate::object_backend::conditions::bare_etag;
use crate::object_backend::multipart::part_size::part_size;
use crate::object_backend::part_buffer::PartBuffer;
use crate::object_backend::{Fence, GetOptions, ObjectBackend, Stored, Upload, check_fence};

/// Memory: the part that is gathered, and the one before it, which OpenDAL holds back until it
/// knows whether it is the only one.
pub struct OpendalUpload {
    backend: OpendalBackend,
    key: String,
    must_not_exist: bool,
    fence: Option<Arc<dyn Fence>>,
    /// Bytes that the client said would come.
    announced: Option<u64>,
    gathered: PartBuffer,
    parts: u64,
    size: u64,
    /// A write failed or was given up in the middle: its bytes are missing.
    torn: bool,
    state: State,
}

/// Where the writer is. Requests run in a task of their own: one that is given up in the middle
/// would lose the id of a multipart upload that storage has just begun.
enum State {
    Idle(Box<Writer>),
    Writing(JoinHandle<(Box<Writer>, opendal::Result<()>)>),
    Over,
}

impl OpendalUpload {
    pub fn new(
        backend: OpendalBackend,
        key: String,
        writer: Writer,
        must_not_exist: bool,
        fence: Option<Arc<dyn Fence>>,
        announced: Option<u64>,
    ) -> Self {
        Self {
            backend,
            key,
            must_not_exist,
            fence,
            announced,
            gathered: PartBuffer::default(),
            parts: 0,
            size: 0,
            torn: false,
            state: State::Idle(Box::new(writer)),
        }
    }

    async fn send_part(&mut self) -> Result<()> {
        let State::Idle(mut writer) = mem::replace(&mut self.state, State::Over) else {
            return Err(broken());
        };
        let part = Buffer::from(self.gathered.take());
        self.parts += 1;
        self.state = State::Writing(tokio::spawn(async move {
            let result = writer.write(part).await;
            (writer, result)
        }));
        self.wait().await
    }

    /// Waits for the request under way. Given up in the middle, it is there for [`abort`] to wait for.
    async fn wait(&mut self) -> Result<()> {
        let State::Writing(task) = &mut self.state else {
            return Ok(());
        };
        let ended = task.await;
        self.state = State::Over;
        let (writer, result) =
            ended.map_err(|error| BackendError::with_source(ErrorKind::Upstream, "put", error))?;
        self.state = State::Idle(writer);
        let must_not_exist = self.must_not_exist;
        result.map_err(|error| {
            let error = backend_error("put", error).of_an_upload(must_not_exist);
            error.of_a_part()
        })
    }

    async fn conclude(mut self) -> Result<Stored> {
        if self.torn {
            return Err(broken());
        }
        if self.gathered.length() > 0 {
            self.send_part().await?;
        }
        let State::Idle(writer) = &mut self.state else {
            return Err(broken());
        };
        // On an error the drop aborts. Nothing can be asked between here and the request's end.
        check_fence(self.fence.as_ref())?;
        match writer.close().await {
            Ok(metadata) => {
                self.state = State::Over;
                self.stored(&metadata)
            }
            Err(error) => Err(self.refusal(error).await),
        }
    }

    fn stored(&self, metadata: &Metadata) -> Result<Stored> {
        // Never without one: the transport takes nothing else for an acknowledgement.
        let etag = metadata.etag().map(bare_etag).unwrap_or_default();
        match etag.is_empty() {
            false => Ok(Stored {
                etag,
                size: self.size,
            }),
            true => Err(BackendError::with_source(
                ErrorKind::NoAnswer,
                "put",
                "storage gives the object no entity tag",
            )),
        }
    }

    /// Of uploads that race for a key, storage may answer the slower ones with "conflict" (S3:
    /// `ConditionalRequestConflict`): the key tells whether it is taken by now.
    async fn refusal(&self, error: opendal::Error) -> BackendError {
        let is_conflict = error.kind() == opendal::ErrorKind::Conflict;
        let error = backend_error("put", error).of_an_upload(self.must_not_exist);
        if !(self.must_not_exist && is_conflict) {
            return error;
        }
        match self.backend.head(&self.key, &GetOptions::default()).await {
            Ok(_) => BackendError::new(ErrorKind::PreconditionFailed, "put"),
            // What the look says is no answer to the upload.
            Err(_) => error,
        }
    }
}

fn broken() -> BackendError {
    BackendError::with_source(
        ErrorKind::Upstream,
        "put",
        "an earlier write of this upload failed",
    )
}

#[async_trait]
impl Upload for OpendalUpload {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        if mem::replace(&mut self.torn, true) {
            return Err(broken());
        }
        self.size += piece.len() as u64;
        self.gathered.push(piece);
        if self.gathered.length() >= part_size(self.parts, self.announced) {
            self.send_part().await?;
        }
        self.torn = false;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored> {
        // To its end also where nobody waits for it: half a completion helps nobody.
        match tokio::spawn((*self).conclude()).await {
            Ok(result) => result,
            Err(error) => Err(BackendError::with_source(ErrorKind::Upstream, "put", error)),
        }
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        match tokio::spawn(abort(mem::replace(&mut self.state, State::Over))).await {
            Ok(result) => result.map_err(|error| backend_error("abort", error)),
            Err(error) => Err(BackendError::with_source(
                ErrorKind::Upstream,
                "abort",
                error,
            )),
        }
    }
}

/// Removes the parts that storage has, once the request under way has ended.
async fn abort(state: State) -> opendal::Result<()> {
    let mut writer = match state {
        State::Idle(writer) => writer,
        State::Writing(task) => match task.await {
            Ok((writer, _)) => writer,
            Err(_) => return Ok(()),
        },
        State::Over => return Ok(()),
    };
    writer.abort().await
}

impl Drop for OpendalUpload {
    fn drop(&mut self) {
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = abort(state).await {
                let error = backend_error("abort", error);
                tracing::warn!(%error, "parts of an upload that was given up may be left in storage");
            }
        });
    }
}
