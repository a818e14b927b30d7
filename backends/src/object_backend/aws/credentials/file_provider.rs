//! Keys from a credentials file that another program rewrites from time to time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_sdk_s3::config::{Credentials, ProvideCredentials};
use parking_lot::Mutex;

use super::credentials;
use crate::credentials_file;
use crate::object_backend::remote::clouds::SettingsError;
use crate::settings::Keys;

/// The next request after this long reads the file again. Reading a small file costs less than telling
/// reliably that it has not changed.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// A change is taken when a second reading after this long agrees: a file that is written in place may
/// hold half a secret for a moment.
const CONFIRM_AFTER: Duration = Duration::from_millis(50);

/// Keeps the last good keys.
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
    /// A thread reads the file, maybe for long on a network file system.
    reading: bool,
    /// The error of the last reading, so that it is logged once.
    last_error: Option<String>,
}

impl FileProvider {
    pub fn open(path: PathBuf, profile: String) -> Result<Self, SettingsError> {
        let state = State {
            keys: credentials_file::read(&path, &profile)?,
            read_at: Instant::now(),
            reading: false,
            last_error: None,
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
                let reading = tokio::task::spawn_blocking(move || inner.read());
                // After the time limit, or at the end of the runtime, the last keys are used.
                let _ = tokio::time::timeout(READ_INTERVAL, reading).await;
            }
            Ok(self.0.current())
        })
    }
}

impl Inner {
    /// True for one request at a time; others go on with the keys there are.
    fn is_due(&self) -> bool {
        let mut state = self.state.lock();
        let due = !state.reading && state.read_at.elapsed() >= READ_INTERVAL;
        if due {
            state.read_at = Instant::now();
            state.reading = true;
        }
        due
    }

    fn current(&self) -> Credentials {
        credentials(&self.state.lock().keys)
    }

    fn read(&self) {
        let read = self.read_changed();
        let mut state = self.state.lock();
        state.reading = false;
        match read {
            Ok(changed) => {
                if let Some(keys) = changed {
                    tracing::info!(file.path = %self.path.display(), "the keys of storage have changed");
                    state.keys = keys;
                }
                state.last_error = None;
            }
            Err(error) => {
                if state.last_error.as_ref() != Some(&error) {
                    tracing::error!(
                        exception.message = %error, "the keys of storage cannot be read again; the last ones stay"
                    );
                }
                state.last_error = Some(error);
            }
        }
    }

    /// `None` also where the file is being written: the next reading finds the keys.
    fn read_changed(&self) -> Result<Option<Keys>, String> {
        let keys = credentials_file::read(&self.path, &self.profile)?;
        if keys == self.state.lock().keys {
            return Ok(None);
        }
        std::thread::sleep(CONFIRM_AFTER);
        let again = credentials_file::read(&self.path, &self.profile)?;
        Ok((again == keys).then_some(again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::File;
    use std::io::Write;
    use std::path::Path;
    use std::process::Command;

    fn text(secret: &str) -> String {
        format!("[default]\naws_access_key_id = a\naws_secret_access_key = {secret}\n")
    }

    fn open(path: &Path, secret: &str) -> FileProvider {
        std::fs::write(path, text(secret)).unwrap();
        FileProvider::open(path.into(), "default".into()).unwrap()
    }

    /// Puts a named pipe in the file's place, whose reader waits for a writer.
    fn make_pipe(path: &Path) {
        let pipe = path.with_extension("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        std::fs::rename(pipe, path).unwrap();
    }

    fn make_due(provider: &FileProvider) {
        provider.0.state.lock().read_at -= READ_INTERVAL;
    }

    async fn secret(provider: &FileProvider) -> String {
        let given = provider.provide_credentials().await.unwrap();
        given.secret_access_key().to_owned()
    }

    #[test]
    fn half_a_secret_is_never_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let FileProvider(inner) = open(&path, "old");
        make_pipe(&path);
        let writer = std::thread::spawn(move || {
            for secret in ["ne", "new", "new", "new"] {
                // Opens when the provider reads. The next reading opens the next pipe.
                let mut pipe = File::options().write(true).open(&path).unwrap();
                make_pipe(&path);
                pipe.write_all(text(secret).as_bytes()).unwrap();
            }
        });
        for expected in ["old", "new"] {
            inner.read();
            assert_eq!(inner.state.lock().keys.secret_key.expose(), expected);
        }
        writer.join().unwrap();
    }

    #[tokio::test]
    async fn a_file_that_blocks_holds_one_thread_and_delays_no_request_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let provider = open(&path, "old");
        make_pipe(&path);
        make_due(&provider);
        assert_eq!(secret(&provider).await, "old");
        make_due(&provider);
        assert!(!provider.0.is_due(), "the first thread still reads");
        assert_eq!(secret(&provider).await, "old");
        std::fs::write(&path, text("old")).unwrap();
        while provider.0.state.lock().reading {
            tokio::task::yield_now().await;
        }
        make_due(&provider);
        assert!(provider.0.is_due());
    }
}
