//! Amazon's default chain: environment, profile files, web identity, container, instance.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::Result as Provided;
use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_sdk_s3::config::{ProvideCredentials, Region};
use tokio::sync::OnceCell;

use crate::object_backend::aws::http_client::Http;
use crate::object_backend::remote::endpoint::Refusal;

/// Where no instance is, nobody answers at its address: requests must not wait for that.
const CONNECT: Duration = Duration::from_secs(1);

/// Asks nobody before the first request needs keys. Its user remembers what it gives.
#[derive(Debug)]
pub struct DefaultChain {
    profile: Option<String>,
    /// Of the token service, where a role is taken.
    region: Region,
    http: Http,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl DefaultChain {
    pub fn new(profile: Option<String>, region: &str) -> Result<Self, Refusal> {
        Ok(Self {
            profile,
            region: Region::new(region.to_owned()),
            http: Http::new(CONNECT).map_err(|error| format!("no HTTP client: {error}"))?,
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
