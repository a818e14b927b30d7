//! Logs on stderr: text on a terminal, else JSON lines; times in UTC (RFC 3339).

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The variable that sets the format: `text` or `json`.
const FORMAT_VARIABLE: &str = "ASSET_GATEWAY_LOG_FORMAT";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// Checks the environment's settings for logs. The error names the wrong variable.
pub fn check() -> Result<(), String> {
    settings().map(drop)
}

fn settings() -> Result<(Format, EnvFilter), String> {
    let terminal = io::stderr().is_terminal();
    let format = format(env::var(FORMAT_VARIABLE).ok().as_deref(), terminal)?;
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()
        .map_err(|error| format!("RUST_LOG: {error}"))?;
    Ok((format, filter))
}

/// Starts logging for the whole process, with the level `info` or the filter in `RUST_LOG`. Refuses what
/// [`check`] refuses.
pub fn install() -> Result<(), String> {
    let (format, filter) = settings()?;
    let terminal = io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // The report goes to stderr, too, and panics where stderr is a file on a full disk.
        .log_internal_errors(false)
        .with_ansi(terminal);
    match format {
        Format::Text => subscriber.try_init(),
        Format::Json => subscriber
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
    }
    .map_err(|error| format!("logging cannot start: {error}"))
}

fn format(value: Option<&str>, terminal: bool) -> Result<Format, String> {
    match value {
        Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        None | Some("") if terminal => Ok(Format::Text),
        None | Some("") => Ok(Format::Json),
        Some(other) => Err(format!(
            "{FORMAT_VARIABLE}: `{other}`: expected `text` or `json`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_text_on_a_terminal_else_json() {
        assert_eq!(format(None, true), Ok(Format::Text));
        assert_eq!(format(None, false), Ok(Format::Json));
        assert_eq!(format(Some("json"), true), Ok(Format::Json));
        assert_eq!(format(Some("text"), false), Ok(Format::Text));
        let error = format(Some("xml"), true).expect_err("unknown");
        assert!(error.contains("ASSET_GATEWAY_LOG_FORMAT") && error.contains("expected"));
    }
}
