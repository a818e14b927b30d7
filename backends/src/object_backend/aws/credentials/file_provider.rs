//! Keys from a file that somebody else writes anew from time to time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_sdk_s3::config::{Credentials, ProvideCredentials};
use parking_lot::Mutex;

use super::credentials;
use crate::credentials_file;
use crate::object_backend::remote::endpoint::Refusal;
use crate::settings::Keys;

/// The file is read again after this long, by the next request. It is small: reading it costs
/// less than finding out reliably that it has not changed.
const READ_EVERY: Duration = Duration::from_secs(1);

/// A file that is written in place may hold half a secret for a moment, which nothing tells from a
/// whole one: what has changed has to be there still after this long.
const SETTLED: Duration = Duration::from_millis(50);

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
    /// Somebody is at it, maybe for long: of a network's file system.
    reading: bool,
    /// What was wrong with the file when it was read last, so that it is logged once.
    wrong: Option<String>,
}

impl FileProvider {
    pub fn open(path: PathBuf, profile: String) -> Result<Self, Refusal> {
        let state = State {
            keys: credentials_file::read(&path, &profile)?,
            read_at: Instant::now(),
            reading: false,
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
                let reading = tokio::task::spawn_blocking(move || inner.read());
                // Where it hangs, or the runtime ends, the last keys are good, too.
                let _ = tokio::time::timeout(READ_EVERY, reading).await;
            }
            Ok(self.0.current())
        })
    }
}

impl Inner {
    /// Says so to one request; others go on meanwhile with the keys there are.
    fn is_due(&self) -> bool {
        let mut state = self.state.lock();
        let due = !state.reading && state.read_at.elapsed() >= READ_EVERY;
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
                    tracing::info!(file.path = %self.path.display(), "keys of storage have changed");
                    state.keys = keys;
                }
                state.wrong = None;
            }
            Err(error) => {
                if state.wrong.as_ref() != Some(&error) {
                    tracing::error!(
                        exception.message = %error, "keys of storage not read again; the last ones stay"
                    );
                }
                state.wrong = Some(error);
            }
        }
    }

    /// None, too, where somebody is writing: the next reading finds them.
    fn read_changed(&self) -> Result<Option<Keys>, String> {
        let keys = credentials_file::read(&self.path, &self.profile)?;
        if keys == self.state.lock().keys {
            return Ok(None);
        }
        std::thread::sleep(SETTLED);
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

    /// In the file's place a pipe: whoever reads it waits for a writer.
    fn make_pipe(path: &Path) {
        let pipe = path.with_extension("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        std::fs::rename(pipe, path).unwrap();
    }

    fn make_due(provider: &FileProvider) {
        provider.0.state.lock().read_at -= READ_EVERY;
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
                // Begins when somebody reads; the next reading opens the next pipe.
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
    async fn a_file_that_hangs_holds_one_reader_and_no_request_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let provider = open(&path, "old");
        make_pipe(&path);
        make_due(&provider);
        assert_eq!(secret(&provider).await, "old");
        make_due(&provider);
        assert!(!provider.0.is_due(), "the first one is still at it");
        assert_eq!(secret(&provider).await, "old");
        std::fs::write(&path, text("old")).unwrap();
        while provider.0.state.lock().reading {
            tokio::task::yield_now().await;
        }
        make_due(&provider);
        assert!(provider.0.is_due());
    }
}
