use std::process::ExitCode;

fn main() -> ExitCode {
    // The TLS provider of the whole process, installed before the first connection. Fails only where
    // one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    asset_gateway::cli::run(std::env::args_os())
}
