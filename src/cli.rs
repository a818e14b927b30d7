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

/// A running gateway broke, or could not start for a reason outside its configuration.
const RUNTIME: u8 = 1;
/// The configuration or the command line is not valid; clap uses the same number.
const CONFIGURATION: u8 = 2;

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
    after_help = "Without --config, ./config.yaml is used where there is one; else the gateway runs on embedded\nparts below ./data. ASSET_GATEWAY__SECTION__KEY in the environment overrides a key of the file.",
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
    /// Say whether the configuration is valid, and start nothing
    Check,
    /// Look at callbacks of a running gateway, and send them again
    Callbacks(callbacks::Callbacks),
    /// Move the token store to another engine, while no gateway runs on it
    Store(store::Store),
}

/// Does what `arguments` say; the first one is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments.into_iter().map(double_dash)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way, too, with code 0. Nobody is left to hear that
            // printing failed.
            let _ = error.print();
            return code(u8::try_from(error.exit_code()).unwrap_or(CONFIGURATION));
        }
    };
    let source = ConfigSource::locate(arguments.config);
    let command = match arguments.command.unwrap_or(Command::Serve) {
        Command::Callbacks(asked) => return callbacks::run(asked, &source),
        Command::Store(asked) => return store::run(&asked, &source),
        Command::Check => check,
        Command::Serve => serve,
    };
    match Config::load(&source, &process_variables()) {
        Ok(config) => command(config, &source),
        Err(error) => refuse(&error),
    }
}

/// All that `serve` refuses as well; what only the machine can say is left to it.
fn check(config: Config, _: &ConfigSource) -> ExitCode {
    if let Err(error) = telemetry::logs::check() {
        eprintln!("asset-gateway: {error}");
        return code(CONFIGURATION);
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
        return code(CONFIGURATION);
    }
    match source {
        ConfigSource::File(path) => {
            tracing::info!(file.path = %path.display(), "configuration read")
        }
        ConfigSource::Embedded => tracing::info!("no configuration: running on embedded parts"),
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if let Err(error) = embedded::prepare(&mut config, Path::new(embedded::DATA)) {
        tracing::error!(exception.message = %error, "the control token cannot be kept");
        return code(RUNTIME);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(exception.message = %error, "the runtime cannot start");
            return code(RUNTIME);
        }
    };
    match runtime.block_on(app::serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(exception.message = %error, "stopped");
            code(RUNTIME)
        }
    }
}

fn refuse(error: &ConfigError) -> ExitCode {
    eprintln!("asset-gateway: {error}");
    code(CONFIGURATION)
}

fn code(number: u8) -> ExitCode {
    ExitCode::from(number)
}

/// `-config FILE` and `-config=FILE`, as the first AssetGateway was started, in today's writing.
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
    fn every_way_to_name_a_configuration() {
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
