//! Settings of a bucket to OpenDAL's services, with each provider's defaults.

use opendal::services::{Cos, Oss, S3};
use opendal::{HttpTransporter, OperationContext, Operator};

use super::transport::Transport;
use crate::object_backend::remote::clouds::{Endpoint, SettingsError, route_to};
use crate::settings::{Adapter, BucketSettings, Keys, Provider};
use crate::signing::oss_v4::Signer;

/// The operator of a bucket at an object store. Sends no request.
pub fn operator(settings: &BucketSettings) -> Result<Operator, SettingsError> {
    let Service { operator, signer } = service(settings)?;
    if signer.is_some() {
        warn_about_region(settings)?;
    }
    let transport = Transport::new(signer).map_err(|error| format!("no HTTP client: {error}"))?;
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
    Ok(operator.with_context(context))
}

/// [`operator`] without an HTTP client: all that the settings decide.
pub struct Service {
    operator: Operator,
    /// Signs in the transport what OpenDAL leaves unsigned.
    signer: Option<Signer>,
}

pub fn service(settings: &BucketSettings) -> Result<Service, SettingsError> {
    route_to(settings.provider, Adapter::Opendal)?;
    let endpoint = Endpoint::of(settings)?;
    let keys = settings.credential.keys()?;
    let mut signer = None;
    let operator = match settings.provider {
        Provider::Cos => cos(settings, keys, &endpoint)?,
        Provider::Oss => {
            signer = oss_signer(settings, keys, &endpoint)?;
            oss(settings, &endpoint)
        }
        Provider::S3 | Provider::Ctyun | Provider::Fs | Provider::Memory => {
            s3(settings, keys, &endpoint)
        }
    };
    // The message may name the endpoint, never a key.
    let operator = operator.map_err(|error| error.message().to_owned())?;
    Ok(Service { operator, signer })
}

fn s3(settings: &BucketSettings, keys: &Keys, endpoint: &Endpoint) -> opendal::Result<Operator> {
    let mut builder = S3::default()
        .bucket(&settings.bucket)
        .endpoint(&endpoint.url_to_strip())
        .region(endpoint.signing_region())
        .session_token(keys.session_token.expose())
        // Only the configuration counts: no environment, no instance role.
        .disable_config_load()
        .disable_ec2_metadata();
    if !endpoint.path_style {
        builder = builder.enable_virtual_host_style();
    }
    if keys.is_empty() {
        builder = builder.skip_signature();
    } else {
        builder = builder
            .access_key_id(keys.access_key.expose())
            .secret_access_key(keys.secret_key.expose());
    }
    Operator::new(builder)
}

fn cos(
    settings: &BucketSettings,
    keys: &Keys,
    endpoint: &Endpoint,
) -> Result<opendal::Result<Operator>, SettingsError> {
    if keys.is_empty() {
        let text = "COS needs a credential: name one in `credential`";
        return Err(text.to_owned().into());
    }
    Ok(Operator::new(
        Cos::default()
            .bucket(&settings.bucket)
            .endpoint(&endpoint.url_to_strip())
            .secret_id(keys.access_key.expose())
            .secret_key(keys.secret_key.expose())
            .security_token(keys.session_token.expose())
            .disable_config_load(),
    ))
}

/// OpenDAL signs OSS V1 only: it signs nothing here, and the transport signs V4.
fn oss(settings: &BucketSettings, endpoint: &Endpoint) -> opendal::Result<Operator> {
    let builder = Oss::default().bucket(&settings.bucket);
    Operator::new(builder.endpoint(&endpoint.url()).skip_signature())
}

/// The given region signs: hosts of some OSS regions name another one than their signatures need.
fn warn_about_region(settings: &BucketSettings) -> Result<(), SettingsError> {
    let endpoint = Endpoint::of(settings)?;
    if let (Some(region), Some(named)) = (&endpoint.region, &endpoint.region_of_host)
        && region != named
    {
        tracing::warn!(
            bucket = settings.bucket,
            region,
            region_of_endpoint = named,
            "OSS may refuse signatures: `region` is not the one that `endpoint` names"
        );
    }
    Ok(())
}

/// `None` where requests are not signed.
fn oss_signer(
    settings: &BucketSettings,
    keys: &Keys,
    endpoint: &Endpoint,
) -> Result<Option<Signer>, SettingsError> {
    if keys.is_empty() {
        return Ok(None);
    }
    let Some(region) = &endpoint.region else {
        let text = "empty, and `endpoint` names none, but signatures of OSS need it: expected the \
                    bucket's region, such as cn-hangzhou";
        return Err(SettingsError::of("region", text));
    };
    let (region, bucket) = (region.clone(), settings.bucket.clone());
    Ok(Some(Signer::new(keys.clone(), region, bucket)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_backend::remote::clouds::endpoint::assert_refused;
    use crate::settings::{CredentialSettings, a_bucket as settings};

    #[test]
    fn an_error_names_the_missing_setting() {
        let mut chain = settings(Provider::S3, "r", "");
        chain.credential = CredentialSettings::DefaultChain { profile: None };
        assert_refused(
            |settings| operator(settings).err(),
            [
                (chain, "`backend: aws`"),
                (settings(Provider::Oss, "", ""), "`region`"),
                (
                    settings(Provider::Oss, "", "https://b.example.com"),
                    "`region`",
                ),
            ],
        );
    }
}
