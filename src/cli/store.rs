//! `asset-gateway store`: exports and imports a token store while no gateway uses it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::open::open_offline;
use asset_gateway_backends::settings::Secret;
use asset_gateway_backends::transfer::{Archive, Header, OfflineStore, export, import};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::{EXIT_CONFIGURATION, EXIT_RUNTIME, code};
use crate::config::{Config, ConfigSource, TokenStoreKind, process_variables};
use crate::tokens::Digester;

#[derive(Debug, Args)]
pub struct Store {
    #[command(subcommand)]
    command: StoreCommand,

    /// The store [default: the one that a gateway would use]
    #[arg(long, value_enum, value_name = "ENGINE", global = true)]
    store: Option<Engine>,

    /// Continue although gateways seem to use the store
    #[arg(long, global = true)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Write everything in the store to FILE, which must not exist (- is stdout)
    Export { file: PathBuf },
    /// Load FILE into an empty store, and compare the store with it (- is stdin)
    Import { file: PathBuf },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Engine {
    Sled,
    Redis,
}

/// Why an export or import failed.
type Failure = Box<dyn std::error::Error>;

pub fn run(arguments: &Store, source: &ConfigSource) -> ExitCode {
    let mut config = match Config::load(source, &process_variables()) {
        Ok(config) => config,
        Err(error) => return super::refuse(&error),
    };
    match arguments.store {
        None => {}
        Some(Engine::Sled) => config.token_store.kind = Some(TokenStoreKind::Sled),
        Some(Engine::Redis) if config.redis.is_none() => {
            eprintln!(
                "asset-gateway: --store redis: expected a section `redis` in the configuration"
            );
            return code(EXIT_CONFIGURATION);
        }
        Some(Engine::Redis) => config.token_store.kind = Some(TokenStoreKind::Redis),
    }
    match execute(arguments, &config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("asset-gateway: {failure}");
            code(EXIT_RUNTIME)
        }
    }
}

fn execute(arguments: &Store, config: &Config) -> Result<(), Failure> {
    // The second worker keeps connections alive.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let pepper = config.control.token_pepper.clone().unwrap_or_default();
    let settings = config.token_store_settings();
    runtime.block_on(async {
        match &arguments.command {
            StoreCommand::Export { file } => {
                refuse_existing(file)?;
                let store = open_offline(&settings, false)?;
                export_to(file, store, &pepper, arguments.force).await
            }
            StoreCommand::Import { file } => {
                let file = open_archive(file)?;
                let now = SystemClock.now_seconds();
                let archive = Archive::check(BufReader::new(&file), now)?;
                refuse_other_pepper(&archive.header, &pepper)?;
                let store = open_offline(&settings, true)?;
                import_from(&file, &archive, store, arguments.force).await
            }
        }
    })
}

async fn export_to(
    file: &Path,
    store: Arc<dyn OfflineStore>,
    pepper: &Secret,
    force: bool,
) -> Result<(), Failure> {
    let engine = store.engine();
    let export_id = Uuid::new_v4().simple().to_string();
    let fingerprint = Digester::new(pepper).fingerprint(&export_id);
    let version = env!("CARGO_PKG_VERSION");
    let header = Header::new(
        export_id,
        engine,
        fingerprint,
        version,
        SystemClock.now_ms(),
    );
    let counts = match is_standard(file) {
        true => export(store, &header, force, BufWriter::new(io::stdout().lock())).await?,
        false => {
            let folder = folder_of(file);
            // Created with mode 0600, and removed if the export fails.
            let temporary = tempfile::Builder::new()
                .prefix(".asset-gateway-export-")
                .tempfile_in(folder)
                .map_err(|error| format!("`{}`: {error}", folder.display()))?;
            let mut out = BufWriter::new(temporary);
            let counts = export(store, &header, force, &mut out).await?;
            let temporary = out.into_inner()?;
            temporary.as_file().sync_all()?;
            temporary
                .persist_noclobber(file)
                .map_err(|error| format!("`{}`: {error}", file.display()))?;
            File::open(folder)?.sync_all()?;
            counts
        }
    };
    eprintln!("exported from {engine}: {counts}");
    Ok(())
}

async fn import_from(
    file: &File,
    archive: &Archive,
    store: Arc<dyn OfflineStore>,
    force: bool,
) -> Result<(), Failure> {
    let engine = store.engine();
    let mut from = BufReader::new(file);
    from.rewind()?;
    let counts = import(store, archive, from, force).await?;
    eprintln!("imported into {engine} and compared: {counts}");
    if archive.gone > 0 {
        let gone = archive.gone;
        eprintln!("left out: {gone} tokens that expired more than a day ago");
    }
    Ok(())
}

fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

fn refuse_existing(file: &Path) -> Result<(), Failure> {
    match !is_standard(file) && file.symlink_metadata().is_ok() {
        true => Err(format!("`{}` exists already: name another file", file.display()).into()),
        false => Ok(()),
    }
}

/// Opens the archive as a file that can be read twice.
fn open_archive(file: &Path) -> Result<File, Failure> {
    if is_standard(file) {
        let mut spooled = tempfile::tempfile()?;
        io::copy(&mut io::stdin().lock(), &mut spooled)?;
        spooled.flush()?;
        spooled.rewind()?;
        return Ok(spooled);
    }
    Ok(File::open(file).map_err(|error| format!("`{}`: {error}", file.display()))?)
}

/// Refuses an archive with another pepper: all of its tokens would be unknown.
fn refuse_other_pepper(header: &Header, pepper: &Secret) -> Result<(), Failure> {
    let own = Digester::new(pepper).fingerprint(&header.export_id);
    let problem = match (header.pepper.as_str(), own.as_str()) {
        (theirs, own) if theirs == own => return Ok(()),
        ("", _) => {
            "its tokens were digested without a pepper, and `control.token_pepper_file` names one"
        }
        (_, "") => {
            "its tokens were digested with a pepper: name its file in `control.token_pepper_file`"
        }
        (_, _) => {
            "its tokens were digested with another pepper than `control.token_pepper_file` holds"
        }
    };
    Err(
        format!("the archive is not for this gateway: {problem}; every link would be unknown")
            .into(),
    )
}
