//! Settings to clients of the SDK: each provider's own defaults.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Config, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, StalledStreamProtectionConfig,
};

use super::credentials::{self, signing};
use super::http_client::Http;
use crate::object_backend::remote::endpoint::{Refusal, checked, cos_endpoint, ctyun_endpoint};
use crate::object_backend::remote::timeouts::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use crate::settings::{BucketSettings, Provider};

/// Tries of a request that may be repeated.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Two ways to one bucket.
#[derive(Debug, Clone)]
pub struct Clients {
    /// One request, whatever becomes of it. It has no time limit: its caller sets one.
    pub once: Client,
    /// Repeats where storage stumbles: for requests whose repetition changes nothing. Each try is
    /// over after [`RESPONSE_TIMEOUT`].
    pub again: Client,
}

impl Clients {
    /// Asks nobody. Only what the settings say: where they do not name Amazon's chain, no
    /// environment, no profile, no instance's role.
    pub fn new(settings: &BucketSettings) -> Result<Self, Refusal> {
        let base = config(settings)?;
        let http =
            Http::new(CONNECT_TIMEOUT).map_err(|error| format!("no HTTP client: {error}"))?;
        let base = base.http_client(http.for_storage());
        let tries = RetryConfig::standard()
            .with_max_attempts(TRIES)
            .with_initial_backoff(FIRST_PAUSE);
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

/// All that the settings decide, without a client.
pub fn check(settings: &BucketSettings) -> Result<(), Refusal> {
    if settings.bucket.is_empty() {
        return Err("`bucket` is empty: name the bucket at the provider".into());
    }
    endpoint(settings)?;
    credentials::check(&settings.credential)
}

fn config(settings: &BucketSettings) -> Result<Builder, Refusal> {
    check(settings)?;
    // A signature names a region also where the storage has none.
    let region = match settings.region.as_str() {
        "" => "us-east-1",
        region => region,
    };
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .force_path_style(settings.force_path_style)
        // Checksums that nobody asked for travel in chunks of Amazon's own, which others refuse.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // How slow a client may be is for the gateway to say; storage has its limits here.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // One bucket's trouble must not use up the tries of another one.
        .retry_partition(RetryPartition::new(format!(
            "{}/{}",
            settings.endpoint, settings.bucket
        )));
    if let Some(endpoint) = endpoint(settings)? {
        config = config.endpoint_url(endpoint);
    }
    signing(config, &settings.credential, region)
}

/// `None`: the SDK knows Amazon's.
fn endpoint(settings: &BucketSettings) -> Result<Option<String>, Refusal> {
    match settings.provider {
        Provider::S3 if settings.endpoint.is_empty() => match settings.region.as_str() {
            "" => Err("`region` is empty, and so is `endpoint`: one of them is needed".into()),
            _ => Ok(None),
        },
        Provider::S3 => checked(&settings.endpoint).map(Some),
        Provider::Ctyun => ctyun_endpoint(settings).map(Some),
        Provider::Cos if settings.force_path_style => {
            Err("COS refuses `force_path_style` for buckets made since 2024: leave it out".into())
        }
        Provider::Cos => cos_endpoint(settings).map(Some),
        Provider::Oss => Err("`aws` does not speak to OSS: take `backend: opendal`".into()),
        Provider::Fs | Provider::Memory => Err("this provider is no object store".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_backend::remote::endpoint::assert_refused;
    use crate::settings::{CredentialSettings, a_bucket as settings};

    #[test]
    fn amazon_is_left_to_the_sdk() {
        let at = |provider, region| endpoint(&settings(provider, region, ""));
        assert_eq!(at(Provider::S3, "eu-west-1"), Ok(None));
        assert_eq!(
            at(Provider::Cos, "ap-guangzhou"),
            Ok(Some("https://cos.ap-guangzhou.myqcloud.com".into()))
        );
        assert_eq!(
            at(Provider::Ctyun, "jiangsu-10"),
            Ok(Some("https://jiangsu-10.zos.ctyun.cn".into()))
        );
    }

    #[test]
    fn what_is_missing_is_named() {
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
