//! A browser, driven over the DevTools protocol on its pipe.

use std::collections::HashSet;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::api::PATIENCE;

/// The result of opening an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The browser wanted to save a file and showed nothing.
    Downloaded,
    /// The document's markup, after it was loaded.
    Shown(String),
}

impl Opened {
    /// The page of [`PAGE`] ran.
    pub fn ran(&self) -> bool {
        match self {
            Self::Downloaded => false,
            Self::Shown(markup) => markup.contains("ran=\"yes\""),
        }
    }
}

/// A page whose script marks the document; it is HTML and XML at once.
pub const PAGE: &str = "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>page</title></head>\
     <body><script>document.documentElement.setAttribute('ran', 'yes')</script></body></html>";

/// Headless Chromium with its own profile. Ends when it is dropped.
pub struct Chromium {
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Events that arrived during other waits, by session and name.
    events: HashSet<(String, String)>,
    last_id: u64,
    _process: Child,
    _profile: TempDir,
}

impl Chromium {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The pipe's ends are the descriptors 3 and 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--no-first-run", "--no-proxy-server"])
            .args(["--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("sh is there");
        let (requests, answers) = (process.stdin.take(), process.stdout.take());
        let mut browser = Self {
            requests: requests.unwrap(),
            answers: BufReader::new(answers.unwrap()),
            events: HashSet::new(),
            last_id: 0,
            _process: process,
            _profile: profile,
        };
        let deny = json!({"behavior": "deny"});
        browser
            .call(None, "Browser.setDownloadBehavior", deny)
            .await;
        browser
    }

    /// Opens `url` in a tab of its own and waits until it is loaded.
    pub async fn open(&mut self, url: &str) -> Opened {
        let blank = json!({"url": "about:blank"});
        let target = self.call(None, "Target.createTarget", blank).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let tab = Some(session.as_str());
        self.call(tab, "Page.enable", json!({})).await;
        let navigated = self.call(tab, "Page.navigate", json!({"url": url})).await;
        let opened = match navigated["errorText"].as_str() {
            Some("net::ERR_ABORTED") => Opened::Downloaded,
            Some(error) => panic!("{url}: {error}"),
            None => {
                self.event(&session, "Page.loadEventFired").await;
                let document = self.call(tab, "DOM.getDocument", json!({})).await;
                let root = json!({"nodeId": document["root"]["nodeId"]});
                let markup = self.call(tab, "DOM.getOuterHTML", root).await;
                Opened::Shown(markup["outerHTML"].as_str().unwrap().to_owned())
            }
        };
        let close = json!({"targetId": target["targetId"]});
        self.call(None, "Target.closeTarget", close).await;
        opened
    }

    async fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            request["sessionId"] = json!(session);
        }
        let mut request = request.to_string().into_bytes();
        request.push(0);
        self.requests.write_all(&request).await.unwrap();
        loop {
            let mut message = self.next().await;
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    async fn event(&mut self, session: &str, name: &str) {
        let key = (session.to_owned(), name.to_owned());
        while !self.events.contains(&key) {
            self.next().await;
        }
    }

    async fn next(&mut self) -> Value {
        let mut message = Vec::new();
        let read = self.answers.read_until(0, &mut message);
        let read = timeout(PATIENCE, read).await;
        read.expect("an answer of the browser").unwrap();
        assert_eq!(
            message.pop(),
            Some(0),
            "`chromium` is on the PATH and runs: apt-get install chromium"
        );
        let message: Value = serde_json::from_slice(&message).unwrap();
        if let (Some(session), Some(name)) =
            (message["sessionId"].as_str(), message["method"].as_str())
        {
            let key = (session.to_owned(), name.to_owned());
            self.events.insert(key);
        }
        message
    }
}
