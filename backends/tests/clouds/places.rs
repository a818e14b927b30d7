//! Endpoints as operators write them, and where requests have to arrive then.

use asset_gateway_backends::object_backend::clouds::{Route, Signature};
use asset_gateway_backends::settings::{
    BucketSettings, CredentialSettings, Keys, Provider, Secret,
};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const SESSION_TOKEN: &str = "FwoGZXIvYXdzEJr//////////wEaDA+/=";

/// One way to reach a bucket.
pub struct Place {
    pub name: String,
    pub settings: BucketSettings,
    pub signature: Signature,
    /// As the header `Host` has it.
    pub host: String,
    /// What stands before the key: `/` or `/bucket/`.
    pub path: String,
    pub bucket: &'static str,
    pub region: &'static str,
    pub session_token: bool,
    /// The header of an upload that must not overwrite.
    pub create_only: (&'static str, &'static str),
}

/// Bucket, region, and the vendor's hosts for both.
fn vendor(provider: Provider) -> (&'static str, &'static str, &'static [&'static str]) {
    match provider {
        Provider::S3 => (
            "prod",
            "eu-west-1",
            &[
                "s3.eu-west-1.amazonaws.com",
                "s3.dualstack.eu-west-1.amazonaws.com",
            ],
        ),
        Provider::Ctyun => ("prod", "jiangsu-10", &["jiangsu-10.zos.ctyun.cn"]),
        Provider::Cos => (
            "prod-1250000000",
            "ap-guangzhou",
            &[
                "cos.ap-guangzhou.myqcloud.com",
                "cos-internal.ap-guangzhou.tencentcos.cn",
            ],
        ),
        Provider::Oss => (
            "prod",
            "cn-hangzhou",
            &[
                "oss-cn-hangzhou.aliyuncs.com",
                "oss-cn-hangzhou-internal.aliyuncs.com",
            ],
        ),
        Provider::Fs | Provider::Memory => unreachable!("no cloud"),
    }
}

/// Every form of an endpoint, with and without a session token. Regions stand in the hosts.
pub fn places(route: &Route, port: u16) -> Vec<Place> {
    let (bucket, region, hosts) = vendor(route.provider);
    let mut places = Vec::new();
    let mut add = |endpoint: String, given: &str, force: bool, host: String| {
        for session_token in [false, true] {
            let name = format!(
                "{:?} by {:?}, {endpoint}, path style {force}, token {session_token}",
                route.provider, route.adapter
            );
            let keys = Keys {
                access_key: Secret::new(ACCESS_KEY),
                secret_key: Secret::new(SECRET_KEY),
                session_token: Secret::new(if session_token { SESSION_TOKEN } else { "" }),
            };
            places.push(Place {
                name,
                settings: BucketSettings {
                    provider: route.provider,
                    adapter: Some(route.adapter),
                    bucket: bucket.into(),
                    region: given.into(),
                    endpoint: endpoint.clone(),
                    force_path_style: force,
                    root: None,
                    credential: CredentialSettings::Keys(keys),
                },
                signature: route.signature,
                host: host.clone(),
                path: if force {
                    format!("/{bucket}/")
                } else {
                    "/".into()
                },
                bucket,
                region,
                session_token,
                create_only: match route.provider {
                    Provider::Cos => ("x-cos-forbid-overwrite", "true"),
                    Provider::Oss => ("x-oss-forbid-overwrite", "true"),
                    Provider::S3 | Provider::Ctyun | Provider::Fs | Provider::Memory => {
                        ("if-none-match", "*")
                    }
                },
            });
        }
    };
    for host in hosts {
        let in_front = format!("{bucket}.{host}");
        add(format!("http://{host}"), "", false, in_front.clone());
        add(format!("http://{in_front}"), "", false, in_front.clone());
        let capitals = host.to_uppercase();
        add(format!("HTTP://{capitals}"), "", false, in_front.clone());
        let with_port = format!("http://{host}:{port}");
        add(with_port, "", false, format!("{in_front}:{port}"));
        if matches!(route.provider, Provider::S3 | Provider::Ctyun) {
            add(format!("http://{host}"), "", true, (*host).to_owned());
        }
    }
    // A domain of the operator's own that begins with the bucket's name.
    let own = format!("{bucket}.assets.example.com");
    add(format!("http://{own}/"), region, false, own.clone());
    if matches!(route.provider, Provider::S3 | Provider::Ctyun) {
        add(format!("http://{own}"), region, true, own);
    }
    places
}
