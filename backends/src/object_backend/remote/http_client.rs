//! The HTTP client of every adapter: HTTP/1.1, the process' one TLS stack, no redirects.

use std::time::Duration;

/// Unused connections are closed before storage closes them, which would fail an upload.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// Needs a rustls provider that is installed for the process.
pub fn http_client(connect_timeout: Duration) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
        // A signature is for one host, and only the configuration decides where requests go.
        .redirect(reqwest::redirect::Policy::none())
        // Clients receive the bytes as they are stored.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_only();
    #[cfg(feature = "conformance")]
    let builder = super::test_resolver::apply(builder);
    builder.build()
}
