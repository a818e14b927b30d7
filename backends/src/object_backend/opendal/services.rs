//! Settings to OpenDAL's services: each provider's own defaults.

use opendal::services::{Cos, Oss, S3};
use opendal::{HttpTransporter, OperationContext, Operator};

use super::transport::Transport;
use crate::settings::{BucketSettings, Provider};

/// What a bucket's settings lack, or what cannot be done with them; for the operator.
pub type Refusal = String;

/// The operator for a bucket at an object store. Asks nobody.
pub fn operator(settings: &BucketSettings) -> Result<Operator, Refusal> {
    if settings.bucket.is_empty() {
        return Err("`bucket` is empty: name the bucket at the provider".into());
    }
    if settings.access_key.is_empty() != settings.secret_key.is_empty() {
        return Err("the credential needs both `access_key` and `secret_key`".into());
    }
    let operator = match settings.provider {
        Provider::S3 => s3(settings, s3_endpoint(settings)?),
        Provider::Ctyun => s3(settings, ctyun_endpoint(settings)?),
        Provider::Cos => cos(settings)?,
        Provider::Oss => oss(settings)?,
        Provider::Fs | Provider::Memory => {
            return Err("this provider is no object store".into());
        }
    }
    // Its text may name the endpoint, never a key.
    .map_err(|error| error.message().to_owned())?;
    let transport = Transport::new().map_err(|error| format!("no HTTP client: {error}"))?;
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
    Ok(operator.with_context(context))
}

fn s3(settings: &BucketSettings, endpoint: String) -> opendal::Result<Operator> {
    // A signature names a region also where the storage has none.
    let region = match settings.region.as_str() {
        "" => "us-east-1",
        region => region,
    };
    let mut builder = S3::default()
        .bucket(&settings.bucket)
        .endpoint(&endpoint)
        .region(region)
        .session_token(settings.session_token.expose())
        // Only what the configuration says: no environment, no instance's role.
        .disable_config_load()
        .disable_ec2_metadata();
    if !settings.force_path_style {
        builder = builder.enable_virtual_host_style();
    }
    if settings.access_key.is_empty() {
        builder = builder.skip_signature();
    } else {
        builder = builder
            .access_key_id(settings.access_key.expose())
            .secret_access_key(settings.secret_key.expose());
    }
    Operator::new(builder)
}

fn s3_endpoint(settings: &BucketSettings) -> Result<String, Refusal> {
    match (settings.endpoint.as_str(), settings.region.as_str()) {
        ("", "") => Err("`region` is empty, and so is `endpoint`: one of them is needed".into()),
        ("", region) if region.starts_with("cn-") => {
            Ok(format!("https://s3.{region}.amazonaws.com.cn"))
        }
        ("", region) => Ok(format!("https://s3.{region}.amazonaws.com")),
        (endpoint, _) => checked(endpoint),
    }
}

/// Ctyun's ZOS speaks S3; its media storage too, with an endpoint of the account's own.
fn ctyun_endpoint(settings: &BucketSettings) -> Result<String, Refusal> {
    match (settings.endpoint.as_str(), settings.region.as_str()) {
        ("", "") => Err("`region` is empty, and so is `endpoint`: one of them is needed".into()),
        ("", region) => Ok(format!("https://{region}.zos.ctyun.cn")),
        (endpoint, _) => checked(endpoint),
    }
}

fn cos(settings: &BucketSettings) -> Result<opendal::Result<Operator>, Refusal> {
    if settings.force_path_style {
        return Err(
            "COS refuses `force_path_style` for buckets made since 2024: leave it out".into(),
        );
    }
    if settings.access_key.is_empty() {
        return Err("COS needs a credential: name one in `credential`".into());
    }
    let endpoint = match (settings.endpoint.as_str(), settings.region.as_str()) {
        ("", "") => return Err("`region` is empty, and so is `endpoint`: one is needed".into()),
        ("", region) => format!("https://cos.{region}.myqcloud.com"),
        (endpoint, _) => checked(endpoint)?,
    };
    Ok(Operator::new(
        Cos::default()
            .bucket(&settings.bucket)
            .endpoint(&endpoint)
            .secret_id(settings.access_key.expose())
            .secret_key(settings.secret_key.expose())
            .security_token(settings.session_token.expose())
            .disable_config_load(),
    ))
}

fn oss(settings: &BucketSettings) -> Result<opendal::Result<Operator>, Refusal> {
    let endpoint = match (settings.endpoint.as_str(), settings.region.as_str()) {
        ("", "") => return Err("`region` is empty, and so is `endpoint`: one is needed".into()),
        ("", region) => {
            let region = region.strip_prefix("oss-").unwrap_or(region);
            format!("https://oss-{region}.aliyuncs.com")
        }
        (endpoint, _) => checked(endpoint)?,
    };
    let mut builder = Oss::default().bucket(&settings.bucket).endpoint(&endpoint);
    if settings.force_path_style {
        builder = builder.addressing_style("path");
    }
    if settings.access_key.is_empty() {
        builder = builder.skip_signature();
    } else {
        builder = builder
            .access_key_id(settings.access_key.expose())
            .access_key_secret(settings.secret_key.expose())
            .security_token(settings.session_token.expose());
    }
    Ok(Operator::new(builder))
}

/// `scheme://host[:port]` and nothing else: what stands beyond it would be dropped, or logged.
fn checked(endpoint: &str) -> Result<String, Refusal> {
    let expected = "`endpoint` has to look like https://host or http://host:port";
    let with_scheme = match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false => format!("https://{endpoint}"),
    };
    let url = reqwest::Url::parse(&with_scheme).map_err(|error| format!("{expected}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{expected}: the scheme is `{}`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{expected}: credentials do not belong there"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{expected}: nothing may follow the host"));
    }
    Ok(with_scheme.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;

    fn settings(provider: Provider, region: &str, endpoint: &str) -> BucketSettings {
        BucketSettings {
            provider,
            adapter: None,
            bucket: "b".into(),
            region: region.into(),
            endpoint: endpoint.into(),
            force_path_style: false,
            root: None,
            access_key: Secret::new("the-access-key"),
            secret_key: Secret::new("the-secret-key"),
            session_token: Secret::default(),
        }
    }

    #[test]
    fn providers_know_their_endpoints() {
        let at = |provider, region| settings(provider, region, "");
        let s3 = |region| s3_endpoint(&at(Provider::S3, region));
        assert_eq!(
            s3("eu-west-1").as_deref(),
            Ok("https://s3.eu-west-1.amazonaws.com")
        );
        assert_eq!(
            s3("cn-north-1").as_deref(),
            Ok("https://s3.cn-north-1.amazonaws.com.cn")
        );
        assert_eq!(
            ctyun_endpoint(&at(Provider::Ctyun, "jiangsu-10")).as_deref(),
            Ok("https://jiangsu-10.zos.ctyun.cn")
        );
    }

    #[test]
    fn endpoints_are_only_hosts() {
        assert_eq!(
            checked("s3.example.com").as_deref(),
            Ok("https://s3.example.com")
        );
        assert_eq!(
            checked("http://127.0.0.1:9000/").as_deref(),
            Ok("http://127.0.0.1:9000")
        );
        for wrong in [
            "ftp://h",
            "https://u:p@h",
            "https://h/path",
            "https://h?x=1",
            "https://",
        ] {
            let refusal = checked(wrong).expect_err(wrong);
            assert!(!refusal.contains("u:p"), "{refusal}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut without_bucket = settings(Provider::S3, "r", "");
        without_bucket.bucket.clear();
        let mut half_a_credential = settings(Provider::S3, "r", "");
        half_a_credential.secret_key = Secret::default();
        let mut path_style = settings(Provider::Cos, "r", "");
        path_style.force_path_style = true;
        for (settings, named) in [
            (without_bucket, "`bucket`"),
            (half_a_credential, "`secret_key`"),
            (path_style, "`force_path_style`"),
            (settings(Provider::S3, "", ""), "`region`"),
            (settings(Provider::Ctyun, "", ""), "`region`"),
            (settings(Provider::Cos, "", ""), "`region`"),
            (settings(Provider::Oss, "", ""), "`region`"),
        ] {
            let refusal = operator(&settings).expect_err(named);
            assert!(refusal.contains(named), "{refusal}");
            assert!(!refusal.contains("the-secret-key"), "{refusal}");
        }
    }
}
