//! `asset-gateway callbacks`: lists, shows and replays callbacks of a running gateway over HTTP.
//!
//! HTTP, because an embedded store belongs to the gateway's process.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use asset_gateway_backends::settings::Secret;
use clap::{Args, Subcommand};
use reqwest::{Client, Method, Url};
use serde_json::Value;

use super::{EXIT_RUNTIME, code};
use crate::config::{Config, ConfigSource, embedded, process_variables};

#[derive(Debug, Args)]
pub struct Callbacks {
    #[command(subcommand)]
    command: CallbacksCommand,

    /// Base URL of the running gateway [default: http, this machine, the port of server.listen]
    #[arg(
        long,
        value_name = "URL",
        env = "ASSET_GATEWAY_URL",
        hide_env_values = true,
        global = true
    )]
    url: Option<String>,

    /// File with a control token [default: the one in ./data, without a configuration]
    #[arg(
        long,
        value_name = "FILE",
        env = "ASSET_GATEWAY_CONTROL_TOKEN_FILE",
        global = true
    )]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum CallbacksCommand {
    /// Print callbacks, one JSON object a line, oldest first
    List {
        /// dead (given up) or pending (waiting)
        #[arg(long, default_value = "dead")]
        state: String,
    },
    /// Print a callback with every attempt
    Show { id: String },
    /// Send callbacks again
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Replay {
        #[arg(group = "which")]
        id: Option<String>,
        /// All dead callbacks that were queued at this time (Unix seconds) or later
        #[arg(long, value_name = "SECONDS", group = "which")]
        since: Option<u64>,
    },
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time without a byte; replaying many callbacks takes long.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The message of a failed call.
type Failure = String;

pub fn run(arguments: Callbacks, source: &ConfigSource) -> ExitCode {
    let result = runtime().and_then(|runtime| {
        let gateway = Gateway::find(arguments.url, arguments.token_file.as_deref(), source)?;
        runtime.block_on(gateway.call(arguments.command))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("asset-gateway: {failure}");
            code(EXIT_RUNTIME)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| format!("the runtime cannot start: {error}"))
}

/// A running gateway.
struct Gateway {
    client: Client,
    base: Url,
    token: Secret,
}

impl Gateway {
    fn find(
        url: Option<String>,
        token_file: Option<&Path>,
        source: &ConfigSource,
    ) -> Result<Self, Failure> {
        let base = match url {
            Some(url) => parse_base(&url)?,
            None => local_base(source)?,
        };
        let saved = embedded::token_file(Path::new(embedded::DATA));
        let file = match (token_file, source) {
            (Some(file), _) => file,
            (None, ConfigSource::Embedded) => &saved,
            (None, ConfigSource::File(_)) => {
                return Err("name a file with a control token: --token-file FILE".into());
            }
        };
        let token = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
        let client = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        Ok(Self {
            client: client
                .build()
                .map_err(|error| format!("cannot build an HTTP client: {error}"))?,
            base,
            token: Secret::new(token.trim()),
        })
    }

    async fn call(&self, command: CallbacksCommand) -> Result<(), Failure> {
        match command {
            CallbacksCommand::List { state } => self.list(&state).await,
            CallbacksCommand::Show { id } => {
                let shown = self.request(Method::GET, &[&id], &[]).await?;
                print_json(&shown)
            }
            CallbacksCommand::Replay { id: Some(id), .. } => {
                let shown = self.request(Method::POST, &[&id, "replay"], &[]).await?;
                print_json(&shown)
            }
            CallbacksCommand::Replay { id: None, since } => {
                let since = since.unwrap_or_default().to_string();
                let parameters = [("since", since.as_str())];
                let counted = self.request(Method::POST, &["replay"], &parameters).await?;
                print_json(&counted)
            }
        }
    }

    async fn list(&self, state: &str) -> Result<(), Failure> {
        let mut cursor = String::new();
        loop {
            let parameters = [("state", state), ("limit", "1000"), ("cursor", &cursor)];
            let page = self.request(Method::GET, &[], &parameters).await?;
            for row in page["callbacks"].as_array().into_iter().flatten() {
                println!("{row}");
            }
            match page["cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return Ok(()),
            }
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &[&str],
        parameters: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().push("callbacks").extend(path);
            }
            Err(()) => return Err(format!("`{}` cannot be a base URL", self.base)),
        }
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let request = self.client.request(method, url);
        let request = request.bearer_auth(self.token.expose());
        let failed = |error: reqwest::Error| format!("{}: {error}", self.base);
        let response = request.send().await.map_err(failed)?;
        let succeeded = response.status().is_success();
        let answer: Value = response.json().await.map_err(failed)?;
        match succeeded {
            true => Ok(answer),
            false => Err(format!(
                "{}: {}",
                answer["code"].as_str().unwrap_or("error"),
                answer["message"].as_str().unwrap_or_default()
            )),
        }
    }
}

fn print_json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(())
}

/// Parses `--url`. Errors do not repeat it: it may contain a password.
fn parse_base(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|error| format!("--url: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("--url: expected http:// or https://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("--url: expected no user name and no password; use --token-file".into());
    }
    Ok(url)
}

/// The base URL of this configuration's gateway on this machine.
fn local_base(source: &ConfigSource) -> Result<Url, Failure> {
    let config = Config::load(source, &process_variables()).map_err(|error| error.to_string())?;
    let listen = &config.server.listen;
    let url = listen.local_url(listen.port());
    Url::parse(&url).map_err(|error| format!("`{url}`: {error}"))
}
