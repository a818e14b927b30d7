//! Where requests for a bucket go, and for which region they are signed.

use reqwest::Url;

use super::{Cloud, SettingsError, cloud};
use crate::settings::{BucketSettings, Provider};

/// The place of one bucket. Hosts are in lower case: a signature covers the host that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: String,
    /// `host[:port]`. Without the bucket in front, where requests have it there.
    authority: String,
    bucket: String,
    /// `authority/bucket/key` in place of `bucket.authority/key`.
    pub path_style: bool,
    /// From the settings, else from a host of the provider's own.
    pub region: Option<String>,
    /// What a host of the provider's own names.
    pub region_of_host: Option<String>,
}

impl Endpoint {
    /// Reads the settings by the provider's row of the table.
    pub fn of(settings: &BucketSettings) -> Result<Self, SettingsError> {
        let Some(cloud) = cloud(settings.provider) else {
            let text = "this provider is no object store".to_owned();
            return Err(text.into());
        };
        if settings.bucket.is_empty() {
            return Err(SettingsError::of(
                "bucket",
                "empty: expected the bucket's name at the provider",
            ));
        }
        if settings.force_path_style
            && let Some(why) = cloud.no_path_style
        {
            let text = format!("{why}: expected `force_path_style` to be left out");
            return Err(SettingsError::of("force_path_style", text));
        }
        let region = given_region(settings);
        let region = region.as_deref();
        let url = match (settings.endpoint.as_str(), region) {
            ("", None) => {
                let text = "`region` is empty, and so is `endpoint`: expected one of them, or both";
                return Err(SettingsError::of("endpoint", text));
            }
            ("", Some(region)) => {
                let host = cloud.host_of(region).unwrap_or_default();
                parsed(cloud, &host).map_err(|refusal| SettingsError::of("region", refusal.text))?
            }
            (endpoint, _) => parsed(cloud, endpoint)?,
        };
        let host = url.host_str().unwrap_or_default();
        let is_domain = url.domain().is_some();
        if !is_domain && cloud.no_path_style.is_some() {
            let text = format!(
                "an IP address cannot have the bucket in front: expected {}",
                cloud.example()
            );
            return Err(SettingsError::of("endpoint", text));
        }
        let path_style = settings.force_path_style || !is_domain;
        // A default host may begin with the bucket's name by chance: `jiangsu-10.zos.ctyun.cn`.
        let prefix = format!("{}.", settings.bucket.to_ascii_lowercase());
        let without_bucket = match settings.endpoint.as_str() {
            "" => host,
            _ => host.strip_prefix(&prefix).unwrap_or(host),
        };
        let region_of_host = cloud.region_of(without_bucket).map(str::to_owned);
        let host = match path_style {
            true => host,
            false => without_bucket,
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self {
            scheme: url.scheme().to_owned(),
            path_style,
            region: region
                .map(|region| match settings.provider {
                    // Part of the host's name, not of the region's.
                    Provider::Oss => region.strip_suffix("-internal").unwrap_or(region),
                    Provider::S3
                    | Provider::Ctyun
                    | Provider::Cos
                    | Provider::Fs
                    | Provider::Memory => region,
                })
                .map(str::to_owned)
                .or(region_of_host.clone()),
            region_of_host,
            bucket: settings.bucket.clone(),
            authority,
        })
    }

    /// `scheme://host[:port]`, for client libraries that put the bucket in front or behind.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The same for libraries that take the bucket away first where the host begins with it.
    #[cfg(feature = "opendal")]
    pub fn url_to_strip(&self) -> String {
        match self.authority.starts_with(&format!("{}.", self.bucket)) {
            true => format!("{}://{}.{}", self.scheme, self.bucket, self.authority),
            false => self.url(),
        }
    }

    /// Signatures name a region also where the storage has none.
    pub fn signing_region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }
}

/// OSS writes its regions in several ways: `cn-hangzhou`, `oss-cn-hangzhou`, `oss-cn-hangzhou-internal`.
fn given_region(settings: &BucketSettings) -> Option<String> {
    let region = match settings.provider {
        Provider::Oss => {
            let region = settings.region.to_ascii_lowercase();
            region.strip_prefix("oss-").unwrap_or(&region).to_owned()
        }
        Provider::S3 | Provider::Ctyun | Provider::Cos | Provider::Fs | Provider::Memory => {
            settings.region.clone()
        }
    };
    Some(region).filter(|region| !region.is_empty())
}

/// `scheme://host[:port]` and nothing else: what stands beyond the host would be dropped, or logged.
fn parsed(cloud: &Cloud, endpoint: &str) -> Result<Url, SettingsError> {
    let expected = |why: &str| {
        let text = format!(
            "{why}: expected https://host or http://host:port, such as {}",
            cloud.example()
        );
        Err(SettingsError::of("endpoint", text))
    };
    let with_scheme = match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false => format!("https://{endpoint}"),
    };
    let url = match Url::parse(&with_scheme) {
        Ok(url) => url,
        Err(error) => return expected(&error.to_string()),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return expected(&format!("the scheme is `{}`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return expected("credentials do not belong there");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return expected("nothing may follow the host");
    }
    Ok(url)
}

/// Settings that no adapter can open, and what `refuse` has to name of them; with `more` of the
/// adapter's own.
#[cfg(test)]
pub fn assert_refused<const N: usize>(
    refuse: impl Fn(&BucketSettings) -> Option<SettingsError>,
    more: [(BucketSettings, &str); N],
) {
    use crate::settings::{CredentialSettings, Keys, Secret, a_bucket};

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
        let refusal = refuse(&settings).map_or_else(String::new, |refusal| refusal.to_string());
        assert!(refusal.contains(named), "{named}: {refusal}");
        assert!(!refusal.contains("the-secret-key"), "{refusal}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::a_bucket;

    /// Of the bucket `b`.
    fn at(provider: Provider, region: &str, endpoint: &str) -> Result<Endpoint, SettingsError> {
        Endpoint::of(&a_bucket(provider, region, endpoint))
    }

    #[test]
    fn a_region_is_enough() {
        let url = |provider, region| at(provider, region, "").map(|endpoint| endpoint.url());
        for (provider, region, expected) in [
            (
                Provider::S3,
                "cn-north-1",
                "https://s3.cn-north-1.amazonaws.com.cn",
            ),
            (
                Provider::Ctyun,
                "jiangsu-10",
                "https://jiangsu-10.zos.ctyun.cn",
            ),
            (
                Provider::Cos,
                "ap-guangzhou",
                "https://cos.ap-guangzhou.myqcloud.com",
            ),
            (
                Provider::Oss,
                "cn-hangzhou",
                "https://oss-cn-hangzhou.aliyuncs.com",
            ),
            (
                Provider::Oss,
                "oss-cn-hangzhou",
                "https://oss-cn-hangzhou.aliyuncs.com",
            ),
        ] {
            assert_eq!(url(provider, region).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn endpoints_are_only_hosts() {
        let url = |endpoint| at(Provider::S3, "r", endpoint).map(|endpoint| endpoint.url());
        for (given, expected) in [
            ("s3.example.com", "https://s3.example.com"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            ("HTTP://S3.Example.COM:80", "http://s3.example.com"),
            ("https://[::1]:9000", "https://[::1]:9000"),
        ] {
            assert_eq!(url(given).as_deref(), Ok(expected));
        }
        for wrong in [
            "ftp://h",
            "https://u:p@h",
            "https://h/path",
            "https://h?x=1",
            "https://",
        ] {
            let refusal = url(wrong).expect_err(wrong);
            assert_eq!(refusal.key, Some("endpoint"));
            assert!(
                refusal.text.contains("https://s3.REGION.amazonaws.com"),
                "{refusal}"
            );
            assert!(!refusal.text.contains("u:p"), "{refusal}");
        }
    }

    #[test]
    fn a_bucket_in_the_host_is_not_put_there_again() {
        for provider in [Provider::S3, Provider::Ctyun, Provider::Cos, Provider::Oss] {
            for (given, expected) in [
                ("https://b.h.example.com:8443", "https://h.example.com:8443"),
                ("https://B.h.example.com", "https://h.example.com"),
                ("https://b.b.example.com", "https://b.example.com"),
                ("https://bh.example.com", "https://bh.example.com"),
            ] {
                let endpoint = at(provider, "r", given).unwrap();
                assert_eq!(endpoint.url(), expected, "{provider:?}");
            }
        }
        let mut path_style = a_bucket(Provider::S3, "r", "http://b.example.com");
        path_style.force_path_style = true;
        let endpoint = Endpoint::of(&path_style).unwrap();
        assert_eq!(endpoint.url(), "http://b.example.com");
        #[cfg(feature = "opendal")]
        assert_eq!(endpoint.url_to_strip(), "http://b.b.example.com");
    }

    #[test]
    fn a_default_host_is_kept_whole() {
        let mut settings = a_bucket(Provider::Ctyun, "jiangsu-10", "");
        settings.bucket = "jiangsu-10".into();
        let endpoint = Endpoint::of(&settings).unwrap();
        assert_eq!(endpoint.url(), "https://jiangsu-10.zos.ctyun.cn");
    }

    #[test]
    fn an_internal_region_leads_to_the_internal_host() {
        let endpoint = at(Provider::Oss, "oss-cn-hangzhou-internal", "").unwrap();
        assert_eq!(
            endpoint.url(),
            "https://oss-cn-hangzhou-internal.aliyuncs.com"
        );
    }

    #[test]
    fn an_address_has_no_bucket_in_front() {
        for (provider, named) in [
            (Provider::Cos, "https://cos.REGION.myqcloud.com"),
            (Provider::Oss, "https://oss-REGION.aliyuncs.com"),
        ] {
            let refusal = at(provider, "r", "http://127.0.0.1:9000").unwrap_err();
            assert!(refusal.to_string().contains(named), "{refusal}");
        }
        for provider in [Provider::S3, Provider::Ctyun] {
            assert!(at(provider, "r", "http://[::1]:9000").unwrap().path_style);
        }
    }

    #[test]
    fn the_region_is_given_or_in_the_host() {
        let region = |region, endpoint| at(Provider::Oss, region, endpoint).unwrap().region;
        for (given, endpoint, expected) in [
            (
                "",
                "https://oss-cn-hangzhou-internal.aliyuncs.com",
                Some("cn-hangzhou"),
            ),
            ("cn-hangzhou-internal", "", Some("cn-hangzhou")),
            ("OSS-CN-HANGZHOU", "", Some("cn-hangzhou")),
            (
                "",
                "https://b.oss-cn-hangzhou.aliyuncs.com",
                Some("cn-hangzhou"),
            ),
            (
                "oss-cn-beijing",
                "https://oss-accelerate.aliyuncs.com",
                Some("cn-beijing"),
            ),
            ("", "https://b.example.com", None),
        ] {
            assert_eq!(region(given, endpoint).as_deref(), expected, "{endpoint}");
        }
    }

    #[test]
    fn path_style_is_refused_where_the_cloud_does() {
        for provider in [Provider::S3, Provider::Ctyun, Provider::Cos, Provider::Oss] {
            let mut settings = a_bucket(provider, "r", "");
            settings.force_path_style = true;
            let refused = Endpoint::of(&settings)
                .err()
                .and_then(|refusal| refusal.key);
            let expected = matches!(provider, Provider::Cos | Provider::Oss);
            assert_eq!(
                refused,
                expected.then_some("force_path_style"),
                "{provider:?}"
            );
        }
    }
}
