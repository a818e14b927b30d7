//! Credentials of requests: keys from the settings, from a file, or from Amazon's default chain.

mod default_chain;
mod file_provider;

use aws_sdk_s3::config::{Builder, Credentials, IdentityCache};

use crate::credentials_file;
use crate::object_backend::remote::clouds::SettingsError;
use crate::settings::{CredentialSettings, Keys};

/// Refuses keys that are missing, and a file without keys.
pub fn check(settings: &CredentialSettings) -> Result<(), SettingsError> {
    match settings {
        CredentialSettings::Keys(_) => {
            settings.keys()?;
        }
        CredentialSettings::File { path, profile } => {
            credentials_file::read(path, profile)?;
        }
        CredentialSettings::DefaultChain { .. } => {}
    }
    Ok(())
}

/// Sends no request. Reads a credentials file for the first time.
pub fn with_credentials(
    config: Builder,
    settings: &CredentialSettings,
    region: &str,
) -> Result<Builder, SettingsError> {
    Ok(match settings {
        CredentialSettings::Keys(_) => {
            let keys = settings.keys()?;
            match keys.is_empty() {
                true => config.allow_no_auth(),
                false => config.credentials_provider(credentials(keys)),
            }
        }
        // The provider caches the keys for a second; the SDK would for 15 minutes.
        CredentialSettings::File { path, profile } => config
            .credentials_provider(file_provider::FileProvider::open(
                path.clone(),
                profile.clone(),
            )?)
            .identity_cache(IdentityCache::no_cache()),
        // All clients of this configuration share one cache.
        CredentialSettings::DefaultChain { profile } => config
            .credentials_provider(default_chain::DefaultChain::new(profile.clone(), region)?)
            .identity_cache(IdentityCache::lazy().build()),
    })
}

fn credentials(keys: &Keys) -> Credentials {
    let token = Some(keys.session_token.expose()).filter(|token| !token.is_empty());
    Credentials::new(
        keys.access_key.expose(),
        keys.secret_key.expose(),
        token.map(str::to_owned),
        None,
        "asset-gateway",
    )
}
