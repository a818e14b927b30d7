//! The command line: `asset-gateway [serve] [--config FILE]`, `check`, `callbacks`, `store`, `--version`.

mod callbacks;
mod store;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

use crate::config::features::Feature;
use crate::config::{Config, ConfigError, ConfigSource, embedded, process_variables};
use crate::{app, telemetry};

/// The gateway failed, or could not start for a reason outside its configuration.
const EXIT_RUNTIME: u8 = 1;
/// The configuration or the command line is not valid; clap uses the same code.
const EXIT_CONFIGURATION: u8 = 2;

static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} (features: {})",
        env!("CARGO_PKG_VERSION"),
        Feature::compiled()
    )
});

#[derive(Debug, Parser)]
#[command(
    name = "asset-gateway",
    version = VERSION.as_str(),
    about = "A temporary access gateway for object storage",
    after_help = "Without --config, ./config.yaml is used where there is one; else the gateway runs in embedded mode,\nwith its data in ./data. ASSET_GATEWAY__SECTION__KEY in the environment overrides a key of the file.",
    args_conflicts_with_subcommands = false
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// The YAML file to read
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve,
    /// Check the configuration, and start nothing
    Check,
    /// List, show and replay callbacks of a running gateway
    Callbacks(callbacks::Callbacks),
    /// Move the token store to another engine, while no gateway runs on it
    Store(store::Store),
}

/// Runs the command line; the first argument is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments.into_iter().map(double_dash)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors with code 0. A failure to print cannot be reported.
            let _ = error.print();
            return code(u8::try_from(error.exit_code()).unwrap_or(EXIT_CONFIGURATION));
        }
    };
    let source = ConfigSource::locate(arguments.config);
    let command = match arguments.command.unwrap_or(Command::Serve) {
        Command::Callbacks(arguments) => return callbacks::run(arguments, &source),
        Command::Store(arguments) => return store::run(&arguments, &source),
        Command::Check => check,
        Command::Serve => serve,
    };
    match Config::load(&source, &process_variables()) {
        Ok(config) => command(config, &source),
        Err(error) => refuse(&error),
    }
}

/// Refuses what `serve` refuses, except problems of the machine.
fn check(config: Config, _: &ConfigSource) -> ExitCode {
    if let Err(error) = telemetry::logs::check() {
        eprintln!("asset-gateway: {error}");
        return code(EXIT_CONFIGURATION);
    }
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    println!("configuration is valid");
    ExitCode::SUCCESS
}

fn serve(mut config: Config, source: &ConfigSource) -> ExitCode {
    if let Err(error) = telemetry::logs::install() {
        eprintln!("asset-gateway: {error}");
        return code(EXIT_CONFIGURATION);
    }
    match source {
        ConfigSource::File(path) => {
            tracing::info!(file.path = %path.display(), "configuration read")
        }
        ConfigSource::Embedded => tracing::info!("no configuration: running in embedded mode"),
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if let Err(error) = embedded::prepare(&mut config, Path::new(embedded::DATA)) {
        tracing::error!(exception.message = %error, "the control token cannot be saved");
        return code(EXIT_RUNTIME);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(exception.message = %error, "the runtime cannot start");
            return code(EXIT_RUNTIME);
        }
    };
    match runtime.block_on(app::serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(exception.message = %error, "stopped");
            code(EXIT_RUNTIME)
        }
    }
}

fn refuse(error: &ConfigError) -> ExitCode {
    eprintln!("asset-gateway: {error}");
    code(EXIT_CONFIGURATION)
}

fn code(number: u8) -> ExitCode {
    ExitCode::from(number)
}

/// Accepts `-config FILE` and `-config=FILE`, the arguments of the first AssetGateway.
fn double_dash(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text == "-config" || text.starts_with("-config=") => {
            OsString::from(format!("-{text}"))
        }
        Some(_) | None => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words = line.split_whitespace().map(OsString::from);
        Arguments::try_parse_from(words.map(double_dash))
    }

    #[test]
    fn every_form_of_config_is_accepted() {
        for line in [
            "asset-gateway --config a.yaml",
            "asset-gateway --config=a.yaml",
            "asset-gateway -config a.yaml",
            "asset-gateway -config=a.yaml",
            "asset-gateway serve --config a.yaml",
            "asset-gateway --config a.yaml serve",
            "asset-gateway check -config a.yaml",
        ] {
            let arguments = parse(line).expect(line);
            assert_eq!(arguments.config, Some(PathBuf::from("a.yaml")), "{line}");
            let check = matches!(arguments.command, Some(Command::Check));
            assert_eq!(check, line.contains("check"), "{line}");
        }
        let bare = parse("asset-gateway").expect("no arguments");
        assert!(bare.command.is_none() && bare.config.is_none());
        assert_eq!(
            parse("asset-gateway -x").expect_err("unknown").exit_code(),
            2
        );
    }

    #[test]
    fn the_version_names_the_features() {
        let text = parse("asset-gateway --version")
            .expect_err("printed")
            .to_string();
        let expected = format!("asset-gateway {} (features: ", env!("CARGO_PKG_VERSION"));
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains(&Feature::compiled()), "{text}");
    }
}
