//! The real binary as a process of its own, on ports of its own, below a folder of its own.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::{Api, CONTROL};
use super::process::{Process, command};

/// A running gateway. Dropping it kills it.
pub struct Gateway {
    api: Api,
    pub port: u16,
    /// Where `/metrics` is.
    pub metrics: Option<u16>,
    process: Process,
    folder: Arc<TempDir>,
}

impl Deref for Gateway {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Gateway {
    pub fn start() -> Self {
        Self::with(json!({}))
    }

    /// `sections` go over those of [`configuration`].
    pub fn with(sections: Value) -> Self {
        Self::with_environment(sections, &[])
    }

    /// The same; it keeps `variables` until it is started again.
    pub fn with_environment(sections: Value, variables: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut whole = configuration(folder.path());
        for (name, section) in sections.as_object().unwrap() {
            whole[name] = section.clone();
        }
        // JSON is YAML.
        std::fs::write(folder.path().join("config.yaml"), whole.to_string()).unwrap();
        Self::start_in(folder, variables)
    }

    fn start_in(folder: Arc<TempDir>, variables: &[(&str, &str)]) -> Self {
        let mut command = command();
        command
            .arg("--config")
            .arg(folder.path().join("config.yaml"))
            .current_dir(folder.path())
            .envs(variables.iter().copied());
        Self::run(command, folder)
    }

    /// Runs `command` until it serves.
    pub fn run(command: Command, folder: Arc<TempDir>) -> Self {
        let mut process = Process::start(command);
        let serving = process.wait_for("serving");
        let port = serving["port"].as_u64().unwrap().try_into().unwrap();
        let metrics = process.logged("serving metrics").map(|line| {
            let port = line["port"].as_u64().unwrap();
            u16::try_from(port).unwrap()
        });
        Self {
            api: Api::new(format!("http://127.0.0.1:{port}")),
            port,
            metrics,
            process,
            folder,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the bucket `local`.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    /// Everything in the bucket's folder that is no folder, temporary files too; without the types
    /// that are kept beside the files where the file system cannot keep them.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.objects()];
        while let Some(folder) = folders.pop() {
            // What goes away meanwhile was a temporary file.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.extend(Some(entry.path()).filter(|path| !path.ends_with("types")));
                } else {
                    let path = entry.path();
                    let name = path.strip_prefix(self.objects()).unwrap();
                    files.push(name.to_string_lossy().into_owned());
                }
            }
        }
        files.sort();
        files
    }

    /// Puts a file into the bucket's folder, past the gateway.
    pub fn place(&self, key: &str, content: impl AsRef<[u8]>) {
        let path = self.objects().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// All that the process has said on stderr.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// All that it has said on stdout.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// Bytes of memory that the process has now.
    pub fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// Lines of the log with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// Access lines of requests for this route.
    pub fn logged_accesses(&self, route: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let accesses = lines.filter(|line| line["target"] == "access");
        accesses.filter(|line| line["route"] == route).collect()
    }

    pub async fn scrape(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics.unwrap());
        let response = self.client.get(url).send().await.unwrap();
        response.text().await.unwrap()
    }

    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// See [`Process::signal`].
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// SIGKILL; returns the folder to start in again.
    pub fn kill(mut self) -> Stopped {
        self.process.kill();
        Stopped {
            folder: Arc::clone(&self.folder),
            log: self.log(),
        }
    }

    /// SIGTERM, and waits for the end; returns the folder to start in again.
    pub fn stop(mut self) -> Stopped {
        self.process.terminate();
        let status = self.process.wait();
        assert!(status.success(), "{status}: {}", self.log());
        Stopped {
            folder: Arc::clone(&self.folder),
            log: self.log(),
        }
    }
}

/// Whatever a test did: nothing panicked, and the log opens nothing.
impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains(CONTROL), "{log}");
        for token in self.handed_out.lock().iter() {
            assert!(!log.contains(token), "{token} in {log}");
        }
    }
}

/// A gateway that has ended in order.
pub struct Stopped {
    folder: Arc<TempDir>,
    pub log: String,
}

impl Stopped {
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn start(self) -> Gateway {
        Gateway::start_in(self.folder, &[])
    }
}

/// Ports of its own, a sled store and an fs bucket `local` below `folder`.
pub fn configuration(folder: &Path) -> Value {
    json!({
        "server": {"listen": "127.0.0.1:0"},
        "metrics": {"listen": "127.0.0.1:0"},
        "sled": {"path": folder.join("tokens")},
        "control": {"tokens": [CONTROL]},
        "buckets": {"local": {"provider": "fs", "root": folder.join("objects")}},
    })
}
