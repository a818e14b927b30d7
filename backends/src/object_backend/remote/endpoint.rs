//! Endpoints of providers, and settings that no adapter can open.

use crate::settings::BucketSettings;

/// What the settings of a bucket lack, for the operator.
pub type SettingsError = String;

/// Ctyun's ZOS and, with an endpoint of the account's own, its media storage speak S3.
pub fn ctyun_endpoint(settings: &BucketSettings) -> Result<String, SettingsError> {
    endpoint_or(settings, |region| format!("https://{region}.zos.ctyun.cn"))
}

pub fn cos_endpoint(settings: &BucketSettings) -> Result<String, SettingsError> {
    if settings.force_path_style {
        let text = "COS refuses `force_path_style` for buckets made since 2024: leave it out";
        return Err(text.into());
    }
    endpoint_or(settings, |region| {
        format!("https://cos.{region}.myqcloud.com")
    })
}

/// The endpoint in the settings; without one, the provider's own for the region.
pub fn endpoint_or(
    settings: &BucketSettings,
    of_region: impl FnOnce(&str) -> String,
) -> Result<String, SettingsError> {
    match (settings.endpoint.as_str(), settings.region.as_str()) {
        ("", "") => Err("`region` is empty, and so is `endpoint`: one of them is needed".into()),
        ("", region) => Ok(of_region(region)),
        (endpoint, _) => parse_endpoint(endpoint),
    }
}

/// A signature names a region, also for a storage that has none.
pub fn signing_region(settings: &BucketSettings) -> &str {
    match settings.region.as_str() {
        "" => "us-east-1",
        region => region,
    }
}

pub fn check_bucket_name(settings: &BucketSettings) -> Result<(), SettingsError> {
    match settings.bucket.is_empty() {
        true => Err("`bucket` is empty: name the bucket at the provider".into()),
        false => Ok(()),
    }
}

/// `scheme://host[:port]` and nothing else: the rest would be dropped, or logged.
pub fn parse_endpoint(endpoint: &str) -> Result<String, SettingsError> {
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

/// Asserts that `refuse` names what is wrong in settings that no adapter can open, and in `more`.
#[cfg(test)]
pub fn assert_refused<const N: usize>(
    refuse: impl Fn(&BucketSettings) -> Option<SettingsError>,
    more: [(BucketSettings, &str); N],
) {
    use crate::settings::{CredentialSettings, Keys, Provider, Secret, a_bucket};

    let mut without_bucket = a_bucket(Provider::S3, "r", "");
    without_bucket.bucket.clear();
    let mut half_a_credential = a_bucket(Provider::S3, "r", "");
    half_a_credential.credential = CredentialSettings::Keys(Keys {
        access_key: Secret::new("the-access-key"),
        ..Keys::default()
    });
    let mut path_style = a_bucket(Provider::Cos, "r", "");
    path_style.force_path_style = true;
    let common = [
        (without_bucket, "`bucket`"),
        (half_a_credential, "`secret_key`"),
        (path_style, "`force_path_style`"),
        (a_bucket(Provider::S3, "", ""), "`region`"),
        (a_bucket(Provider::Ctyun, "", ""), "`region`"),
        (a_bucket(Provider::Cos, "", ""), "`region`"),
    ];
    for (settings, named) in common.into_iter().chain(more) {
        let refusal = refuse(&settings).unwrap_or_default();
        assert!(refusal.contains(named), "{named}: {refusal}");
        assert!(!refusal.contains("the-secret-key"), "{refusal}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Provider, a_bucket};

    #[test]
    fn regions_give_the_endpoints_of_providers() {
        let at = |provider, region| a_bucket(provider, region, "");
        assert_eq!(
            ctyun_endpoint(&at(Provider::Ctyun, "jiangsu-10")).as_deref(),
            Ok("https://jiangsu-10.zos.ctyun.cn")
        );
        assert_eq!(
            cos_endpoint(&at(Provider::Cos, "ap-guangzhou")).as_deref(),
            Ok("https://cos.ap-guangzhou.myqcloud.com")
        );
    }

    #[test]
    fn an_endpoint_is_a_host_alone() {
        assert_eq!(
            parse_endpoint("s3.example.com").as_deref(),
            Ok("https://s3.example.com")
        );
        assert_eq!(
            parse_endpoint("http://127.0.0.1:9000/").as_deref(),
            Ok("http://127.0.0.1:9000")
        );
        for wrong in [
            "ftp://h",
            "https://u:p@h",
            "https://h/path",
            "https://h?x=1",
            "https://",
        ] {
            let refusal = parse_endpoint(wrong).expect_err(wrong);
            assert!(!refusal.contains("u:p"), "{refusal}");
        }
    }
}
