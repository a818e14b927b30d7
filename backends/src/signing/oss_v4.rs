//! Aliyun OSS V4, `OSS4-HMAC-SHA256`, in the header `Authorization`.
//!
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4>.
//! The body is not hashed.

use std::time::SystemTime;

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{encoding, timestamp::timestamp};
use crate::settings::Keys;

const ALGORITHM: &str = "OSS4-HMAC-SHA256";
/// OSS knows no other value.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// A request, as far as it is signed.
pub struct ToSign<'r> {
    pub method: &'r str,
    /// `/key`, percent-encoded as it is sent, without the bucket.
    pub path: &'r str,
    /// As it is sent, without the question mark.
    pub query: &'r str,
    /// All that are sent.
    pub headers: Vec<(String, String)>,
}

/// Signs requests for one bucket.
pub struct Signer {
    keys: Keys,
    region: String,
    bucket: String,
    /// The derived key, with its day.
    derived: Mutex<Option<(String, [u8; 32])>>,
}

impl Signer {
    /// `keys` are not empty; `region` is as `cn-hangzhou`.
    pub fn new(keys: Keys, region: String, bucket: String) -> Self {
        Self {
            keys,
            region,
            bucket,
            derived: Mutex::new(None),
        }
    }

    /// The headers to set.
    pub fn sign(&self, mut request: ToSign<'_>, at: SystemTime) -> Vec<(&'static str, String)> {
        let time = timestamp(at);
        let mut set = vec![
            ("x-oss-content-sha256", UNSIGNED.to_owned()),
            ("x-oss-date", time.clone()),
        ];
        if !self.keys.session_token.is_empty() {
            let token = self.keys.session_token.expose().to_owned();
            set.push(("x-oss-security-token", token));
        }
        let added = set
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        request.headers.extend(added);
        let day = &time[..8];
        let scope = format!("{day}/{}/oss/aliyun_v4_request", self.region);
        let canonical = canonical_request(&self.bucket, &request);
        let string_to_sign = string_to_sign(&time, &scope, &canonical);
        let signature = hex::encode(hmac(&self.key_of(day), &string_to_sign));
        let access_key = self.keys.access_key.expose();
        set.push((
            "authorization",
            format!("{ALGORITHM} Credential={access_key}/{scope},Signature={signature}"),
        ));
        set
    }

    fn key_of(&self, day: &str) -> [u8; 32] {
        let mut derived = self.derived.lock();
        match &*derived {
            Some((known, key)) if known == day => *key,
            Some(_) | None => {
                let key = derive_key(self.keys.secret_key.expose(), day, &self.region);
                *derived = Some((day.to_owned(), key));
                key
            }
        }
    }
}

/// Resource, query and those headers that are always signed.
pub fn canonical_request(bucket: &str, request: &ToSign<'_>) -> String {
    let is_signed =
        |name: &str| matches!(name, "content-type" | "content-md5") || name.starts_with("x-oss-");
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value));
    let mut headers: Vec<_> = headers.filter(|(name, _)| is_signed(name)).collect();
    headers.sort();
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    [
        request.method,
        &format!(
            "/{}{}",
            encoding::name(bucket),
            encoding::path(request.path)
        ),
        &encoding::query(request.query),
        &headers,
        // Other headers that are signed: none.
        "",
        UNSIGNED,
    ]
    .join("\n")
}

pub fn string_to_sign(time: &str, scope: &str, canonical_request: &str) -> String {
    let digest = hex::encode(Sha256::digest(canonical_request));
    format!("{ALGORITHM}\n{time}\n{scope}\n{digest}")
}

/// Good for one day and one region.
pub fn derive_key(secret: &str, day: &str, region: &str) -> [u8; 32] {
    let key = format!("aliyun_v4{secret}");
    let key = hmac(key.as_bytes(), day);
    let key = hmac(&key, region);
    let key = hmac(&key, "oss");
    hmac(&key, "aliyun_v4_request")
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    // A key of any length is one.
    let keyed = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    keyed.chain_update(text).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;
    use std::time::{Duration, UNIX_EPOCH};

    /// The request of the vendor's SDKs' own tests (`SignerV4`, `signer_v4_test.go` and others).
    fn request() -> ToSign<'static> {
        let headers = [
            ("x-oss-head1", "value"),
            ("abc", "value"),
            ("ZAbc", "value"),
            ("XYZ", "value"),
            ("content-type", "text/plain"),
        ];
        ToSign {
            method: "PUT",
            path: "/1234%2B-/123/1.txt",
            query: "param1=value1&%2Bparam1=value3&%7Cparam1=value4&%2Bparam2=&%7Cparam2=&param2=",
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        }
    }

    fn signer(token: &str) -> Signer {
        let keys = Keys {
            access_key: Secret::new("ak"),
            secret_key: Secret::new("sk"),
            session_token: Secret::new(token),
        };
        Signer::new(keys, "cn-hangzhou".into(), "bucket".into())
    }

    fn authorization(signer: &Signer, seconds: u64) -> String {
        let at = UNIX_EPOCH + Duration::from_secs(seconds);
        let (name, value) = signer.sign(request(), at).pop().expect("a signature");
        assert_eq!(name, "authorization");
        value
    }

    #[test]
    fn signatures_of_the_vendors_sdks() {
        assert_eq!(
            authorization(&signer(""), 1_702_743_657),
            "OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,\
             Signature=e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"
        );
        assert_eq!(
            authorization(&signer("token"), 1_702_784_856),
            "OSS4-HMAC-SHA256 Credential=ak/20231217/cn-hangzhou/oss/aliyun_v4_request,\
             Signature=b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea"
        );
    }

    #[test]
    fn the_derived_key_is_that_of_its_day() {
        let signer = signer("");
        let first = authorization(&signer, 1_702_743_657);
        assert_ne!(first, authorization(&signer, 1_702_743_657 + 86_400));
        assert_eq!(first, authorization(&signer, 1_702_743_657));
    }
}
