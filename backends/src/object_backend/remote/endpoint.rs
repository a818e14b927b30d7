//! Where a provider's buckets are.

use crate::settings::BucketSettings;

/// What a bucket's settings lack, or what cannot be done with them; for the operator.
pub type Refusal = String;

/// Ctyun's ZOS speaks S3; its media storage too, with an endpoint of the account's own.
pub fn ctyun_endpoint(settings: &BucketSettings) -> Result<String, Refusal> {
    match (settings.endpoint.as_str(), settings.region.as_str()) {
        ("", "") => Err("`region` is empty, and so is `endpoint`: one of them is needed".into()),
        ("", region) => Ok(format!("https://{region}.zos.ctyun.cn")),
        (endpoint, _) => checked(endpoint),
    }
}

pub fn cos_endpoint(settings: &BucketSettings) -> Result<String, Refusal> {
    match (settings.endpoint.as_str(), settings.region.as_str()) {
        ("", "") => Err("`region` is empty, and so is `endpoint`: one of them is needed".into()),
        ("", region) => Ok(format!("https://cos.{region}.myqcloud.com")),
        (endpoint, _) => checked(endpoint),
    }
}

/// `scheme://host[:port]` and nothing else: what stands beyond it would be dropped, or logged.
pub fn checked(endpoint: &str) -> Result<String, Refusal> {
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

/// Settings that no adapter can open, and what `refuse` has to name of them; with `more` of the
/// adapter's own.
#[cfg(test)]
pub fn assert_refused<const N: usize>(
    refuse: impl Fn(&BucketSettings) -> Option<Refusal>,
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
    fn providers_know_their_endpoints() {
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
}
