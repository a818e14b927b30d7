use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything can open a TLS connection: one provider for the whole process. It fails only
    // where one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    asset_gateway::cli::run(std::env::args_os())
}
