//! Tasks of HTTP/2 streams, which hyper lets go of with their connection.

use hyper::rt::Executor;
use tokio_util::task::TaskTracker;

/// Runs them where they can be waited for.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamExecutor(TaskTracker);

impl StreamExecutor {
    /// Returns when those of the connections that have ended have ended, too.
    pub(super) async fn ended(&self) {
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
