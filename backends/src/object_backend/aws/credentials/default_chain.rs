//! Amazon's default chain: environment, profile files, web identity, container, instance.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::Result as Provided;
use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_sdk_s3::config::{ProvideCredentials, Region};
use tokio::sync::OnceCell;

use crate::object_backend::aws::http_client::SdkHttpClient;
use crate::object_backend::remote::clouds::SettingsError;

/// Without an instance nothing answers at the address of its metadata: requests must not wait for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Looks for keys when the first request needs them. The caller caches them.
#[derive(Debug)]
pub struct DefaultChain {
    profile: Option<String>,
    /// Region of the token service (STS) that gives out roles.
    region: Region,
    http: SdkHttpClient,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl DefaultChain {
    pub fn new(profile: Option<String>, region: &str) -> Result<Self, SettingsError> {
        Ok(Self {
            profile,
            region: Region::new(region.to_owned()),
            http: SdkHttpClient::new(CONNECT_TIMEOUT)
                .map_err(|error| format!("no HTTP client: {error}"))?,
            chain: OnceCell::new(),
        })
    }

    async fn build(&self) -> DefaultCredentialsChain {
        let config = ProviderConfig::without_region().with_http_client(self.http.clone());
        let mut chain = DefaultCredentialsChain::builder()
            .configure(config)
            .region(self.region.clone());
        if let Some(profile) = &self.profile {
            chain = chain.profile_name(profile);
        }
        chain.build().await
    }

    async fn keys(&self) -> Provided {
        let chain = self.chain.get_or_init(|| self.build()).await;
        chain.provide_credentials().await
    }
}

impl ProvideCredentials for DefaultChain {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        Providing::new(self.keys())
    }
}
