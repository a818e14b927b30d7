//! Runs the tasks of HTTP/2 streams, which outlive their connection.

use hyper::rt::Executor;
use tokio_util::task::TaskTracker;

/// Tracks the tasks, so that the shutdown can wait for them.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamExecutor(TaskTracker);

impl StreamExecutor {
    /// Returns when every task has ended; for use after all connections have ended.
    pub(super) async fn wait(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}
