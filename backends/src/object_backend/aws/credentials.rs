//! Settings to what signs: keys that are known, a file that is read again, Amazon's own chain.

mod default_chain;
mod file_provider;

use aws_sdk_s3::config::{Builder, Credentials, IdentityCache};

use crate::credentials_file;
use crate::object_backend::remote::endpoint::Refusal;
use crate::settings::{CredentialSettings, Keys};

/// Keys that are missing, or a file that holds none.
pub fn check(settings: &CredentialSettings) -> Result<(), Refusal> {
    match settings {
        CredentialSettings::Keys(_) => settings.keys().map(drop),
        CredentialSettings::File { path, profile } => {
            credentials_file::read(path, profile).map(drop)
        }
        CredentialSettings::DefaultChain { .. } => Ok(()),
    }
}

/// Asks nobody on the network. A file of keys is read here for the first time.
pub fn signing(
    config: Builder,
    settings: &CredentialSettings,
    region: &str,
) -> Result<Builder, Refusal> {
    Ok(match settings {
        CredentialSettings::Keys(_) => {
            let keys = settings.keys()?;
            match keys.is_empty() {
                true => config.allow_no_auth(),
                false => config.credentials_provider(credentials(keys)),
            }
        }
        // The provider keeps the keys; the SDK would hold them for a quarter of an hour.
        CredentialSettings::File { path, profile } => config
            .credentials_provider(file_provider::FileProvider::open(
                path.clone(),
                profile.clone(),
            )?)
            .identity_cache(IdentityCache::no_cache()),
        // One memory for all clients made of this configuration.
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
