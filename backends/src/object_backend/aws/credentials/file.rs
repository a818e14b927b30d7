//! Keys from a file that somebody else writes anew from time to time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_sdk_s3::config::{Credentials, ProvideCredentials};
use parking_lot::Mutex;

use super::credentials;
use crate::keys_file;
use crate::object_backend::endpoint::Refusal;
use crate::settings::Keys;

/// The file is read again after this long, by the next request. It is small: reading it costs
/// less than finding out reliably that it has not changed.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Holds the last good keys.
#[derive(Debug)]
pub struct FileProvider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    profile: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Keys,
    read_at: Instant,
    /// What was wrong with the file when it was read last, so that it is logged once.
    wrong: Option<String>,
}

impl FileProvider {
    pub fn open(path: PathBuf, profile: String) -> Result<Self, Refusal> {
        let state = State {
            keys: keys_file::read(&path, &profile)?,
            read_at: Instant::now(),
            wrong: None,
        };
        Ok(Self(Arc::new(Inner {
            path,
            profile,
            state: Mutex::new(state),
        })))
    }
}

impl ProvideCredentials for FileProvider {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        Providing::new(async {
            if self.0.is_due() {
                let inner = Arc::clone(&self.0);
                // Fails only where the runtime ends; the last keys are good then, too.
                let _ = tokio::task::spawn_blocking(move || inner.read()).await;
            }
            Ok(self.0.current())
        })
    }
}

impl Inner {
    /// Says so to one request; others go on meanwhile with the keys there are.
    fn is_due(&self) -> bool {
        let mut state = self.state.lock();
        let due = state.read_at.elapsed() >= READ_EVERY;
        if due {
            state.read_at = Instant::now();
        }
        due
    }

    fn current(&self) -> Credentials {
        credentials(&self.state.lock().keys)
    }

    fn read(&self) {
        let read = keys_file::read(&self.path, &self.profile);
        let mut state = self.state.lock();
        match read {
            Ok(keys) => {
                if state.keys != keys {
                    tracing::info!(file = %self.path.display(), "keys of storage have changed");
                    state.keys = keys;
                }
                state.wrong = None;
            }
            Err(error) => {
                if state.wrong.as_ref() != Some(&error) {
                    tracing::error!(%error, "keys of storage not read again; the last ones stay");
                }
                state.wrong = Some(error);
            }
        }
    }
}
