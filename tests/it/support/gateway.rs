//! The gateway's binary as a process, with ports and a folder of its own.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::{Api, CONTROL, merge};
use super::process::{Process, command};

/// How a gateway is started, and started again: a folder with a configuration, and variables.
#[derive(Clone)]
pub struct GatewayBuilder {
    folder: Arc<TempDir>,
    variables: Vec<(String, String)>,
}

impl GatewayBuilder {
    fn in_folder(folder: Arc<TempDir>) -> Self {
        Self {
            folder,
            variables: Vec::new(),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces sections of the configuration.
    pub fn with(self, sections: Value) -> Self {
        configure(self.folder(), sections);
        self
    }

    /// Sets an environment variable.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Shortens leases, which last a minute, and what depends on them.
    pub fn lease(self, lease: Duration) -> Self {
        let seconds = lease.as_secs().to_string();
        self.variable("ASSET_GATEWAY_TEST_LEASE_SECONDS", seconds)
    }

    pub fn command(&self) -> Command {
        let mut command = command();
        let file = self.folder().join("config.yaml");
        if file.exists() {
            command.arg("--config").arg(file);
        }
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.current_dir(self.folder()).envs(variables);
        command
    }

    /// Returns when the gateway serves.
    pub fn start(self) -> Gateway {
        let command = self.command();
        self.run(command)
    }

    fn run(self, command: Command) -> Gateway {
        let mut process = Process::start(command);
        let serving = process.wait_for("serving");
        let port = |line: Value| u16::try_from(line["server.port"].as_u64().unwrap()).unwrap();
        let metrics = process.logged("serving metrics").map(port);
        let port = port(serving);
        Gateway {
            api: Api::new(format!("http://127.0.0.1:{port}")),
            port,
            metrics,
            process,
            builder: self,
        }
    }
}

/// A running gateway. Dropping it kills it.
pub struct Gateway {
    api: Api,
    pub port: u16,
    /// The port of `/metrics`.
    pub metrics: Option<u16>,
    process: Process,
    builder: GatewayBuilder,
}

impl Deref for Gateway {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Gateway {
    /// With a sled store and an fs bucket `local`.
    pub fn builder() -> GatewayBuilder {
        let builder = GatewayBuilder::in_folder(Arc::new(tempfile::tempdir().unwrap()));
        let sections = configuration(builder.folder());
        builder.with(sections)
    }

    /// Without a configuration, in `folder`; only the ports are chosen by the system.
    pub fn embedded(folder: &Arc<TempDir>) -> Self {
        GatewayBuilder::in_folder(Arc::clone(folder))
            .variable("ASSET_GATEWAY__SERVER__LISTEN", "127.0.0.1:0")
            .variable("ASSET_GATEWAY__METRICS__LISTEN", "127.0.0.1:0")
            .start()
    }

    pub fn start() -> Self {
        Self::builder().start()
    }

    pub fn with(sections: Value) -> Self {
        Self::builder().with(sections).start()
    }

    /// Runs `command` until it serves.
    pub fn run(command: Command, folder: Arc<TempDir>) -> Self {
        GatewayBuilder::in_folder(folder).run(command)
    }

    pub fn folder(&self) -> &Path {
        self.builder.folder()
    }

    /// The folder of the bucket `local`.
    pub fn objects(&self) -> PathBuf {
        self.folder().join("objects")
    }

    /// Every file in the bucket's folder, temporary files too, without the sidecar files of types.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.objects()];
        while let Some(folder) = folders.pop() {
            // A temporary file may be removed meanwhile.
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

    /// Bytes of a file in the bucket's folder.
    pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.objects().join(key)).ok()
    }

    /// Puts a file into the bucket's folder, past the gateway.
    pub fn place(&self, key: &str, content: impl AsRef<[u8]>) {
        let path = self.objects().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The process' stderr so far.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// The process' stdout so far.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// Resident bytes of the process.
    pub fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// Lines of the log with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        self.lines(|line| line["message"] == message)
    }

    /// Access lines of requests for this route.
    pub fn logged_accesses(&self, route: &str) -> Vec<Value> {
        self.lines(|line| line["target"] == "access" && line["http.route"] == route)
    }

    fn lines(&self, is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(is_meant).collect()
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

    /// SIGKILL.
    pub fn kill(mut self) -> Stopped {
        self.process.kill();
        self.stopped()
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> Stopped {
        self.process.terminate();
        let status = self.process.wait();
        assert!(status.success(), "{status}: {}", self.log());
        self.stopped()
    }

    fn stopped(self) -> Stopped {
        Stopped {
            builder: self.builder.clone(),
            log: self.log(),
        }
    }
}

/// Checks what holds in every test: no panic, and no secret in the log.
impl Drop for Gateway {
    fn drop(&mut self) {
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{log}");
            return;
        }
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains(CONTROL), "{log}");
        for token in self.handed_out.lock().iter() {
            assert!(!log.contains(token), "{token} in {log}");
        }
    }
}

/// A gateway that has ended, to be started again.
pub struct Stopped {
    builder: GatewayBuilder,
    pub log: String,
}

impl Stopped {
    pub fn folder(&self) -> &Path {
        self.builder.folder()
    }

    pub fn start(self) -> Gateway {
        self.builder.start()
    }

    /// The same with other sections of the configuration.
    pub fn start_with(self, sections: Value) -> Gateway {
        self.builder.with(sections).start()
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

/// Replaces sections of `config.yaml` in `folder`; `null` removes one.
pub fn configure(folder: &Path, sections: Value) {
    let file = folder.join("config.yaml");
    // JSON is YAML.
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| "{}".to_owned());
    let whole: Value = serde_json::from_str(&text).unwrap();
    std::fs::write(file, merge(whole, sections).to_string()).unwrap();
}
