//! Settings of a bucket to OpenDAL's services, with each provider's defaults.

use opendal::services::{Cos, Oss, S3};
use opendal::{HttpTransporter, OperationContext, Operator};

use super::transport::Transport;
use crate::object_backend::remote::endpoint::{
    SettingsError, check_bucket_name, cos_endpoint, ctyun_endpoint, endpoint_or, signing_region,
};
use crate::settings::{BucketSettings, Keys, Provider};

/// The operator of a bucket at an object store. Sends no request.
pub fn operator(settings: &BucketSettings) -> Result<Operator, SettingsError> {
    let service = service(settings)?;
    let transport = Transport::new().map_err(|error| format!("no HTTP client: {error}"))?;
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
    Ok(service.with_context(context))
}

/// [`operator`] without an HTTP client: all that the settings decide.
pub fn service(settings: &BucketSettings) -> Result<Operator, SettingsError> {
    check_bucket_name(settings)?;
    let keys = settings.credential.keys()?;
    let service = match settings.provider {
        Provider::S3 => s3(settings, keys, s3_endpoint(settings)?),
        Provider::Ctyun => s3(settings, keys, ctyun_endpoint(settings)?),
        Provider::Cos => cos(settings, keys)?,
        Provider::Oss => oss(settings, keys)?,
        Provider::Fs | Provider::Memory => {
            return Err("this provider is no object store".into());
        }
    };
    // The message may name the endpoint, never a key.
    service.map_err(|error| error.message().to_owned())
}

fn s3(settings: &BucketSettings, keys: &Keys, endpoint: String) -> opendal::Result<Operator> {
    let mut builder = S3::default()
        .bucket(&settings.bucket)
        .endpoint(&endpoint)
        .region(signing_region(settings))
        .session_token(keys.session_token.expose())
        // Only the configuration counts: no environment, no instance role.
        .disable_config_load()
        .disable_ec2_metadata();
    if !settings.force_path_style {
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

fn s3_endpoint(settings: &BucketSettings) -> Result<String, SettingsError> {
    endpoint_or(settings, |region| match region.starts_with("cn-") {
        true => format!("https://s3.{region}.amazonaws.com.cn"),
        false => format!("https://s3.{region}.amazonaws.com"),
    })
}

fn cos(settings: &BucketSettings, keys: &Keys) -> Result<opendal::Result<Operator>, SettingsError> {
    if keys.is_empty() {
        return Err("COS needs a credential: name one in `credential`".into());
    }
    let endpoint = cos_endpoint(settings)?;
    Ok(Operator::new(
        Cos::default()
            .bucket(&settings.bucket)
            .endpoint(&endpoint)
            .secret_id(keys.access_key.expose())
            .secret_key(keys.secret_key.expose())
            .security_token(keys.session_token.expose())
            .disable_config_load(),
    ))
}

fn oss(settings: &BucketSettings, keys: &Keys) -> Result<opendal::Result<Operator>, SettingsError> {
    let endpoint = endpoint_or(settings, |region| {
        let region = region.strip_prefix("oss-").unwrap_or(region);
        format!("https://oss-{region}.aliyuncs.com")
    })?;
    let mut builder = Oss::default().bucket(&settings.bucket).endpoint(&endpoint);
    if settings.force_path_style {
        builder = builder.addressing_style("path");
    }
    if keys.is_empty() {
        builder = builder.skip_signature();
    } else {
        builder = builder
            .access_key_id(keys.access_key.expose())
            .access_key_secret(keys.secret_key.expose())
            .security_token(keys.session_token.expose());
    }
    Ok(Operator::new(builder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_backend::remote::endpoint::assert_refused;
    use crate::settings::{CredentialSettings, a_bucket as settings};

    #[test]
    fn amazon_has_two_domains() {
        let s3 = |region| s3_endpoint(&settings(Provider::S3, region, ""));
        assert_eq!(
            s3("eu-west-1").as_deref(),
            Ok("https://s3.eu-west-1.amazonaws.com")
        );
        assert_eq!(
            s3("cn-north-1").as_deref(),
            Ok("https://s3.cn-north-1.amazonaws.com.cn")
        );
    }

    #[test]
    fn an_error_names_the_missing_setting() {
        let mut chain = settings(Provider::S3, "r", "");
        chain.credential = CredentialSettings::DefaultChain { profile: None };
        assert_refused(
            |settings| operator(settings).err(),
            [
                (chain, "`backend: aws`"),
                (settings(Provider::Oss, "", ""), "`region`"),
            ],
        );
    }
}
