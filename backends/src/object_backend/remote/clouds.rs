//! What each cloud and each adapter takes: endpoints, keys, signatures, path style, in one table.
//!
//! The adapters, `check`, `POST /token`, docs/clouds.md and the tests read it here. Facts of a cloud come
//! from its documents; facts of an adapter from the requests that it sends.

pub mod endpoint;
pub mod object_key;
mod settings_error;

pub use self::endpoint::Endpoint;
pub use self::settings_error::SettingsError;
use crate::settings::{Adapter, Provider};

/// What a provider's documents say.
#[derive(Debug, Clone, Copy)]
pub struct Cloud {
    /// The name in the configuration.
    pub provider: Provider,
    /// The name in texts for operators.
    pub name: &'static str,
    /// Hosts that the provider has for a region; the first that takes the region is the default.
    pub hosts: &'static [RegionalHost],
    /// Longest key, in bytes of UTF-8.
    pub max_key_bytes: usize,
    /// A key may begin with a backslash.
    pub leading_backslash: bool,
    /// Why `endpoint/bucket/key` does not work; `None` where it does.
    pub no_path_style: Option<&'static str>,
}

/// `before` + region + `after`, for regions that begin with `regions`.
#[derive(Debug, Clone, Copy)]
pub struct RegionalHost {
    /// Empty for all regions.
    pub regions: &'static str,
    /// With its dot or dash.
    pub before: &'static str,
    /// With its dot or dash.
    pub after: &'static str,
}

/// How an adapter talks to a provider.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The cloud.
    pub provider: Provider,
    /// The client library.
    pub adapter: Adapter,
    /// How requests are signed.
    pub signature: Signature,
    /// The adapter sends keys as they are: with `//`, a slash at the end, blanks at the ends.
    pub any_key: bool,
}

/// A signature in the header `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// `AWS4-HMAC-SHA256`.
    SigV4,
    /// `q-sign-algorithm=sha1`.
    Cos,
    /// `OSS4-HMAC-SHA256`. OSS V1 is closed to accounts and buckets made since 2025.
    OssV4,
}

const fn host(regions: &'static str, before: &'static str, after: &'static str) -> RegionalHost {
    RegionalHost {
        regions,
        before,
        after,
    }
}

/// Sources:
/// <https://docs.aws.amazon.com/general/latest/gr/s3.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>,
/// <https://www.tencentcloud.com/document/product/436/6224>,
/// <https://www.tencentcloud.com/document/product/436/13324>,
/// <https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints>,
/// <https://www.alibabacloud.com/help/en/oss/user-guide/object-naming-conventions>.
/// For ctyun's keys there is no document; its storage speaks S3.
pub const CLOUDS: [Cloud; 4] = [
    Cloud {
        provider: Provider::S3,
        name: "S3",
        hosts: &[
            host("cn-", "s3.", ".amazonaws.com.cn"),
            host("", "s3.", ".amazonaws.com"),
            host("cn-", "s3.dualstack.", ".amazonaws.com.cn"),
            host("", "s3.dualstack.", ".amazonaws.com"),
            host("", "s3-fips.", ".amazonaws.com"),
        ],
        max_key_bytes: 1024,
        leading_backslash: true,
        no_path_style: None,
    },
    Cloud {
        provider: Provider::Ctyun,
        name: "ctyun",
        hosts: &[host("", "", ".zos.ctyun.cn")],
        max_key_bytes: 1024,
        leading_backslash: true,
        no_path_style: None,
    },
    Cloud {
        provider: Provider::Cos,
        name: "COS",
        hosts: &[
            host("", "cos.", ".myqcloud.com"),
            host("", "cos.", ".tencentcos.cn"),
            host("", "cos-internal.", ".tencentcos.cn"),
        ],
        max_key_bytes: 850,
        leading_backslash: false,
        no_path_style: Some("COS refuses path style for buckets made since 2024"),
    },
    Cloud {
        provider: Provider::Oss,
        name: "OSS",
        hosts: &[
            host("", "oss-", ".aliyuncs.com"),
            host("", "oss-", "-internal.aliyuncs.com"),
            host("", "", ".oss.aliyuncs.com"),
            host("", "", "-internal.oss.aliyuncs.com"),
        ],
        max_key_bytes: 1023,
        leading_backslash: false,
        no_path_style: Some("OSS answers path style with 403 SecondLevelDomainForbidden"),
    },
];

const fn route(provider: Provider, adapter: Adapter, signature: Signature, any_key: bool) -> Route {
    Route {
        provider,
        adapter,
        signature,
        any_key,
    }
}

/// OpenDAL trims keys and drops empty segments from them.
pub const ROUTES: [Route; 7] = [
    route(Provider::S3, Adapter::Aws, Signature::SigV4, true),
    route(Provider::S3, Adapter::Opendal, Signature::SigV4, false),
    route(Provider::Ctyun, Adapter::Aws, Signature::SigV4, true),
    route(Provider::Ctyun, Adapter::Opendal, Signature::SigV4, false),
    route(Provider::Cos, Adapter::Aws, Signature::SigV4, true),
    route(Provider::Cos, Adapter::Opendal, Signature::Cos, false),
    route(Provider::Oss, Adapter::Opendal, Signature::OssV4, false),
];

/// `None` for a provider that is no object store.
pub fn cloud(provider: Provider) -> Option<&'static Cloud> {
    CLOUDS.iter().find(|cloud| cloud.provider == provider)
}

/// How `adapter` talks to `provider`.
///
/// # Errors
/// The adapter does not; the provider is no object store.
pub fn route_to(provider: Provider, adapter: Adapter) -> Result<&'static Route, SettingsError> {
    let is_it = |route: &&Route| route.provider == provider && route.adapter == adapter;
    ROUTES.iter().find(is_it).ok_or_else(|| {
        let name = cloud(provider).map_or("this provider", |cloud| cloud.name);
        let other = match adapter {
            Adapter::Aws => "expected `opendal`",
            Adapter::Opendal => "expected another provider",
        };
        SettingsError::of(
            "backend",
            format!("the adapter does not talk to {name}: {other}"),
        )
    })
}

impl Cloud {
    /// The provider's own host for a region.
    fn host_of(&self, region: &str) -> Option<String> {
        let mut hosts = self.hosts.iter();
        let host = hosts.find(|host| region.starts_with(host.regions))?;
        Some(format!("{}{region}{}", host.before, host.after))
    }

    /// The region that a host of the provider names. A custom domain names none, nor do hosts of
    /// global acceleration.
    fn region_of<'h>(&self, host: &'h str) -> Option<&'h str> {
        let named = self.hosts.iter().filter_map(|form| {
            let region = host.strip_prefix(form.before)?.strip_suffix(form.after)?;
            let is_region = !region.is_empty()
                && !region.contains('.')
                && !region.starts_with("accelerate")
                && region.starts_with(form.regions);
            is_region.then_some(region)
        });
        // `oss-R-internal` is both `oss-` + `R-internal` and `oss-` + `R` + `-internal`.
        named.min_by_key(|region| region.len())
    }

    /// The form of the default endpoint, for texts.
    fn example(&self) -> String {
        let host = self.host_of("REGION").unwrap_or_default();
        format!("https://{host}")
    }
}

impl Signature {
    /// The algorithm, as requests name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SigV4 => "AWS4-HMAC-SHA256",
            Self::Cos => "q-sign-algorithm=sha1",
            Self::OssV4 => "OSS4-HMAC-SHA256",
        }
    }
}

/// The table in Markdown, as docs/clouds.md has it.
pub fn markdown() -> String {
    let mut text = String::from(
        "| `provider` | `backend` | endpoint of a region | signature | path style | longest key | keys that are refused |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let yes_or_no = |yes| if yes { "yes" } else { "no" };
    for route in &ROUTES {
        let Some(cloud) = cloud(route.provider) else {
            continue;
        };
        let mut refused = Vec::new();
        if !cloud.leading_backslash {
            refused.push("`\\` in front");
        }
        if !route.any_key {
            refused.extend(["`//` inside", "`/` at the end", "blanks at the ends"]);
        }
        let refused = match refused.is_empty() {
            true => "none".to_owned(),
            false => refused.join(", "),
        };
        text.push_str(&format!(
            "| `{}` | `{}` | `{}` | `{}` | {} | {} bytes | {refused} |\n",
            cloud.name.to_lowercase(),
            match route.adapter {
                Adapter::Opendal => "opendal",
                Adapter::Aws => "aws",
            },
            cloud.example(),
            route.signature.name(),
            yes_or_no(cloud.no_path_style.is_none()),
            cloud.max_key_bytes,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(provider: Provider) -> &'static Cloud {
        cloud(provider).unwrap()
    }

    #[test]
    fn a_region_has_a_host() {
        for (provider, region, host) in [
            (Provider::S3, "eu-west-1", "s3.eu-west-1.amazonaws.com"),
            (Provider::S3, "cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
            (Provider::Ctyun, "jiangsu-10", "jiangsu-10.zos.ctyun.cn"),
            (
                Provider::Cos,
                "ap-guangzhou",
                "cos.ap-guangzhou.myqcloud.com",
            ),
            (Provider::Oss, "cn-hangzhou", "oss-cn-hangzhou.aliyuncs.com"),
        ] {
            assert_eq!(of(provider).host_of(region).as_deref(), Some(host));
            assert_eq!(of(provider).region_of(host), Some(region));
        }
    }

    #[test]
    fn a_host_names_its_region() {
        for (provider, host, region) in [
            (
                Provider::S3,
                "s3.dualstack.eu-west-1.amazonaws.com",
                Some("eu-west-1"),
            ),
            (
                Provider::S3,
                "s3-fips.us-east-2.amazonaws.com",
                Some("us-east-2"),
            ),
            (Provider::S3, "s3.amazonaws.com", None),
            (
                Provider::Cos,
                "cos-internal.ap-beijing.tencentcos.cn",
                Some("ap-beijing"),
            ),
            (Provider::Cos, "cos.accelerate.myqcloud.com", None),
            (
                Provider::Oss,
                "oss-cn-hangzhou-internal.aliyuncs.com",
                Some("cn-hangzhou"),
            ),
            (
                Provider::Oss,
                "cn-hangzhou.oss.aliyuncs.com",
                Some("cn-hangzhou"),
            ),
            (
                Provider::Oss,
                "cn-hangzhou-internal.oss.aliyuncs.com",
                Some("cn-hangzhou"),
            ),
            (
                Provider::Oss,
                "oss-rg-china-mainland.aliyuncs.com",
                Some("rg-china-mainland"),
            ),
            (Provider::Oss, "oss-accelerate.aliyuncs.com", None),
            (Provider::Oss, "oss-accelerate-overseas.aliyuncs.com", None),
            (Provider::Oss, "assets.example.com", None),
        ] {
            assert_eq!(of(provider).region_of(host), region, "{host}");
        }
    }

    #[test]
    fn every_route_leads_to_a_cloud() {
        for route in &ROUTES {
            assert!(cloud(route.provider).is_some(), "{route:?}");
            assert!(route_to(route.provider, route.adapter).is_ok());
        }
        let refusal = route_to(Provider::Oss, Adapter::Aws).unwrap_err();
        assert!(refusal.to_string().contains("`opendal`"), "{refusal}");
        println!("{}", markdown());
    }
}
