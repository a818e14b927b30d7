//! Settings of a bucket to clients of the SDK, with each provider's defaults.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Config, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, StalledStreamProtectionConfig,
};

use super::credentials::{self, with_credentials};
use super::http_client::SdkHttpClient;
use crate::object_backend::remote::clouds::{Endpoint, SettingsError, route_to};
use crate::object_backend::remote::timeouts::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use crate::settings::{Adapter, BucketSettings, Provider};

const MAX_ATTEMPTS: u32 = 3;
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Two clients of one bucket.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Sends each request once, without a time limit: the caller sets one.
    pub once: Client,
    /// Repeats idempotent requests. Each attempt ends after [`RESPONSE_TIMEOUT`].
    pub again: Client,
}

impl Clients {
    /// Sends no request, and reads no environment, profile or instance role unless the settings name
    /// Amazon's default chain.
    pub fn new(settings: &BucketSettings) -> Result<Self, SettingsError> {
        let base = config(settings)?;
        let http = SdkHttpClient::new(CONNECT_TIMEOUT)
            .map_err(|error| format!("no HTTP client: {error}"))?;
        let base = base.http_client(http.for_storage());
        let tries = RetryConfig::standard()
            .with_max_attempts(MAX_ATTEMPTS)
            .with_initial_backoff(FIRST_RETRY_DELAY);
        let limit = TimeoutConfig::builder().operation_attempt_timeout(RESPONSE_TIMEOUT);
        let again = base
            .clone()
            .retry_config(tries)
            .timeout_config(limit.build());
        let once = base
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled());
        Ok(Self {
            once: Client::from_conf(once.build()),
            again: Client::from_conf(again.build()),
        })
    }
}

/// Refuses settings that no client can be built from.
pub fn check(settings: &BucketSettings) -> Result<(), SettingsError> {
    endpoint(settings)?;
    credentials::check(&settings.credential)
}

fn endpoint(settings: &BucketSettings) -> Result<Endpoint, SettingsError> {
    route_to(settings.provider, Adapter::Aws)?;
    Endpoint::of(settings)
}

fn config(settings: &BucketSettings) -> Result<Builder, SettingsError> {
    check(settings)?;
    let endpoint = endpoint(settings)?;
    let region = endpoint.signing_region();
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .force_path_style(endpoint.path_style)
        // Optional checksums travel in `aws-chunked` framing, which other stores refuse.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // The gateway limits slow clients; `timeouts` limits storage.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // The errors of one bucket must not use up the retries of another.
        .retry_partition(RetryPartition::new(format!(
            "{}/{}",
            settings.endpoint, settings.bucket
        )));
    // The SDK knows Amazon's own endpoints.
    if settings.provider != Provider::S3 || !settings.endpoint.is_empty() {
        config = config.endpoint_url(endpoint.url());
    }
    with_credentials(config, &settings.credential, region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_backend::remote::clouds::endpoint::assert_refused;
    use crate::settings::{CredentialSettings, a_bucket as settings};

    #[test]
    fn an_error_names_the_missing_setting() {
        let mut without_file = settings(Provider::S3, "r", "");
        without_file.credential = CredentialSettings::File {
            path: "/nowhere/keys".into(),
            profile: "default".into(),
        };
        assert_refused(
            |settings| config(settings).err(),
            [
                (without_file, "`/nowhere/keys`"),
                (settings(Provider::Oss, "r", ""), "OSS"),
            ],
        );
    }
}
