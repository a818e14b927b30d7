//! A small file system that a test can fill: a tmpfs in a mount namespace that ends
//! with the test.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::gateway::Gateway;
use super::process::command;

pub struct SmallDisk {
    /// Keeps the namespace until its standard input ends.
    holder: Child,
    folder: Arc<TempDir>,
}

impl SmallDisk {
    pub fn new(mebibytes: u32) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let disk = folder.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private"]);
        if !is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let script =
            r#"mount -t tmpfs -o "size=$2m,mode=0755" tmpfs "$1" && echo mounted && exec cat"#;
        let mut holder = unshare
            .args(["sh", "-c", script, "sh"])
            .arg(&disk)
            .arg(mebibytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`unshare` of util-linux");
        let mut said = String::new();
        let output = holder.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut said).unwrap();
        assert_eq!(
            said, "mounted\n",
            "this test needs a file system of its own: run it as root, or where a user may make \
             namespaces (`unshare --user --map-root-user --mount`); in a container with CAP_SYS_ADMIN"
        );
        Self { holder, folder }
    }

    /// The disk's path inside of the namespace.
    pub fn inside(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// The disk's path for the test.
    pub fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.inside().strip_prefix("/").unwrap())
    }

    /// The gateway's command inside of the namespace, with the configuration `file`.
    pub fn command(&self, file: &Path) -> Command {
        let gateway = command();
        let mut nsenter = Command::new("nsenter");
        nsenter.arg("--target").arg(self.holder.id().to_string());
        nsenter.arg("--mount");
        if !is_root() {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.arg(format!("--wd={}", self.inside().display()));
        nsenter.arg("--").arg(gateway.get_program());
        nsenter.arg("--config").arg(file);
        for (name, value) in gateway.get_envs() {
            match value {
                Some(value) => nsenter.env(name, value),
                None => nsenter.env_remove(name),
            };
        }
        nsenter.stdin(Stdio::null());
        nsenter
    }

    /// Starts a gateway with its store and the bucket `local` on the disk.
    pub fn start(&self) -> Gateway {
        let mut configuration = super::gateway::configuration(&self.inside());
        configuration["callback"] = serde_json::json!({"report_incomplete": true});
        let file = self.folder.path().join("config.yaml");
        std::fs::write(&file, configuration.to_string()).unwrap();
        Gateway::run(self.command(&file), Arc::clone(&self.folder))
    }

    /// The output of a start that fails.
    pub fn refused_start(&self) -> Option<String> {
        let mut command = self.command(&self.folder.path().join("config.yaml"));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if line.contains("\"serving\"") {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            said.push_str(&line);
            said.push('\n');
        }
        assert!(!child.wait().unwrap().success());
        Some(said)
    }

    /// Fills the disk to the last byte.
    pub fn fill(&self) {
        let mut options = std::fs::OpenOptions::new();
        let options = options.append(true).create(true);
        let mut ballast = options.open(self.path().join("ballast")).unwrap();
        for size in [1 << 20, 4096] {
            let block = vec![0; size];
            while ballast.write_all(&block).is_ok() {}
        }
    }

    /// Frees the space that [`fill`](Self::fill) used.
    pub fn free(&self) {
        std::fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The folder of a process belongs to the process' user.
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
