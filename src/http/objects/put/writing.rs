//! An upload under way, and what is left of it where it goes wrong: nothing.

use asset_gateway_backends::object_backend::Upload;
use tokio_util::task::TaskTracker;

use crate::tokens::Ticket;

/// An upload that is not visible yet. Dropping it undoes it.
pub struct Writing {
    pub upload: Option<Box<dyn Upload>>,
    pub ticket: Option<Ticket>,
    pub detached_tasks: TaskTracker,
}

impl Writing {
    /// Takes back what was written, then gives the hit back.
    pub async fn undo(mut self) {
        undo(self.upload.take(), self.ticket.take()).await;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let (upload, ticket) = (self.upload.take(), self.ticket.take());
        if upload.is_some() || ticket.is_some() {
            self.detached_tasks.spawn(undo(upload, ticket));
        }
    }
}

async fn undo(upload: Option<Box<dyn Upload>>, ticket: Option<Ticket>) {
    if let Some(upload) = upload
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(%error, "an unfinished upload could not be removed");
    }
    if let Some(ticket) = ticket
        && let Err(error) = ticket.release().await
    {
        tracing::warn!(%error, "an unfinished upload's hit comes back with its lease's end");
    }
}
