//! How the process ends: listener → streams → callbacks → stores.
//!
//! Each stage holds its own [`Shutdown`] made by [`Shutdown::later`], which the owner begins when
//! the stage before it is done:
//!
//! 1. the first stage begins (SIGTERM, SIGINT): listeners close, readiness turns to 503, open
//!    streams get their time ([`crate::http::server::Server::run`] returns);
//! 2. the owner begins the stage of the callbacks: nothing new is claimed, running tries end
//!    ([`crate::callbacks::Worker::run`] returns);
//! 3. the stores are dropped, which is what flushes them.
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
            // A child: what is forced has begun, in every stage.
            begun: forced.child_token(),
            forced,
        }
    }

    /// A stage that begins when it is told to, and is forced together with this one.
    pub fn later(&self) -> Self {
        Self {
            begun: self.forced.child_token(),
            forced: self.forced.clone(),
        }
    }

    /// Asks the holders of this stage to finish what they have and to take nothing new.
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

    /// A token of its own for a holder that polls it often: waiting on a shared one takes a lock
    /// that all waiters share.
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
        let callbacks = streams.later();
        streams.begin();
        assert!(streams.has_begun());
        assert!(!callbacks.has_begun());
        callbacks.begin();
        assert!(callbacks.has_begun());
    }

    #[tokio::test]
    async fn force_ends_every_stage() {
        let streams = Shutdown::new();
        let callbacks = streams.later();
        streams.force();
        callbacks.begun().await;
        callbacks.forced().await;
        assert!(streams.has_begun());
    }
}
