//! Stages of a graceful shutdown: listeners, streams, callbacks, stores.
//!
//! Each stage has its own [`Shutdown`] from [`Shutdown::next_stage`]. The owner begins it when the stage
//! before is done:
//!
//! 1. the first stage begins (SIGTERM, SIGINT): listeners close, `/readyz` answers 503, open streams get
//!    their grace period ([`crate::http::server::Server::run`] returns);
//! 2. the owner begins the stage of the callbacks: the worker claims nothing new, running attempts end
//!    ([`crate::callbacks::Worker::run`] returns);
//! 3. the owner closes the stores, which flushes them.
//!
//! [`Shutdown::force`] (a second signal) ends every stage at once.

use std::io;

use tokio_util::sync::CancellationToken;

/// One stage of the shutdown; clones are the same stage.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    forced: CancellationToken,
}

impl Shutdown {
    pub fn new() -> Self {
        let forced = CancellationToken::new();
        Self {
            // A child token: a forced stage has begun.
            begun: forced.child_token(),
            forced,
        }
    }

    /// A further stage, which is forced together with this one.
    pub fn next_stage(&self) -> Self {
        Self {
            begun: self.forced.child_token(),
            forced: self.forced.clone(),
        }
    }

    /// Asks the holders of this stage to finish their work and to accept nothing new.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Asks the holders of every stage to stop at once.
    pub fn force(&self) {
        self.forced.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    pub async fn forced(&self) {
        self.forced.cancelled().await;
    }

    /// A separate token for a holder that polls often: waiting on a shared token takes a lock that all
    /// waiters share.
    pub(crate) fn token(&self) -> CancellationToken {
        self.begun.child_token()
    }

    /// Begins this stage at the first SIGTERM or SIGINT and forces every stage at the second.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    #[cfg(unix)]
    pub fn listen_for_signals(&self) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stage = self.clone();
        tokio::spawn(async move {
            for act in [Self::begin as fn(&Self), Self::force] {
                tokio::select! {
                    _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "shutting down"),
                    _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "shutting down"),
                }
                act(&stage);
            }
        });
        Ok(())
    }

    /// Begins this stage at the first Ctrl-C and forces every stage at the second.
    ///
    /// # Errors
    /// None here; elsewhere the handlers cannot be installed.
    #[cfg(not(unix))]
    pub fn listen_for_signals(&self) -> io::Result<()> {
        let stage = self.clone();
        tokio::spawn(async move {
            for act in [Self::begin as fn(&Self), Self::force] {
                if tokio::signal::ctrl_c().await.is_err() {
                    return;
                }
                act(&stage);
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Shutdown;

    #[test]
    fn stages_begin_one_by_one() {
        let streams = Shutdown::new();
        let callbacks = streams.next_stage();
        streams.begin();
        assert!(streams.has_begun());
        assert!(!callbacks.has_begun());
        callbacks.begin();
        assert!(callbacks.has_begun());
    }

    #[tokio::test]
    async fn force_ends_every_stage() {
        let streams = Shutdown::new();
        let callbacks = streams.next_stage();
        streams.force();
        callbacks.begun().await;
        callbacks.forced().await;
        assert!(streams.has_begun());
    }
}
