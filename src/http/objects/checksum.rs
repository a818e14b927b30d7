//! Checksums that an upload carries in its headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};

use crate::error::GatewayError;
use crate::http::headers::{list, single};

static CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
static AMZ_SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
static CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The expected checksums of a body, and the hashers that compute them. Without such headers nothing is
/// computed.
#[derive(Default)]
pub struct Checksums(Vec<(Hasher, Vec<u8>)>);

enum Hasher {
    Md5(Md5),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn length(&self) -> usize {
        match self {
            Self::Md5(_) => 16,
            Self::Sha256(_) => 32,
            Self::Sha512(_) => 64,
        }
    }
}

impl Checksums {
    /// Reads `Content-MD5` (RFC 1864), `x-amz-checksum-sha256` and `Content-Digest` (RFC 9530), of which
    /// algorithms other than `sha-256` and `sha-512` are ignored.
    pub fn read(headers: &HeaderMap) -> Result<Self, GatewayError> {
        let mut checksums = Self::default();
        if let Some(value) = single(headers, &CONTENT_MD5)? {
            checksums.expect(Hasher::Md5(Md5::new()), value, &CONTENT_MD5)?;
        }
        if let Some(value) = single(headers, &AMZ_SHA256)? {
            checksums.expect(Hasher::Sha256(Sha256::new()), value, &AMZ_SHA256)?;
        }
        let digests = list(headers, &CONTENT_DIGEST)?.unwrap_or_default();
        for member in digests.split(',').map(str::trim).filter(|m| !m.is_empty()) {
            let (algorithm, value) = member.split_once('=').ok_or_else(malformed)?;
            let hasher = match algorithm {
                "sha-256" => Hasher::Sha256(Sha256::new()),
                "sha-512" => Hasher::Sha512(Sha512::new()),
                _ => continue,
            };
            let value = value.strip_prefix(':').and_then(|v| v.strip_suffix(':'));
            checksums.expect(hasher, value.ok_or_else(malformed)?, &CONTENT_DIGEST)?;
        }
        Ok(checksums)
    }

    fn expect(
        &mut self,
        hasher: Hasher,
        base64: &str,
        header: &HeaderName,
    ) -> Result<(), GatewayError> {
        match STANDARD.decode(base64.trim()) {
            Ok(sum) if sum.len() == hasher.length() => self.0.push((hasher, sum)),
            Ok(_) | Err(_) => {
                return Err(GatewayError::BadRequest(format!(
                    "the header {header} is not a checksum in base64"
                )));
            }
        }
        Ok(())
    }

    pub fn update(&mut self, chunk: &[u8]) {
        for (hasher, _) in &mut self.0 {
            match hasher {
                Hasher::Md5(md5) => md5.update(chunk),
                Hasher::Sha256(sha) => sha.update(chunk),
                Hasher::Sha512(sha) => sha.update(chunk),
            }
        }
    }

    /// Whether the body matches every checksum.
    pub fn matches(self) -> bool {
        self.0.into_iter().all(|(hasher, expected)| match hasher {
            Hasher::Md5(md5) => md5.finalize().as_slice() == expected,
            Hasher::Sha256(sha) => sha.finalize().as_slice() == expected,
            Hasher::Sha512(sha) => sha.finalize().as_slice() == expected,
        })
    }
}

fn malformed() -> GatewayError {
    GatewayError::BadRequest("the header content-digest is malformed (RFC 9530)".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(name: &'static str, value: &str) -> Result<Checksums, GatewayError> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Checksums::read(&headers)
    }

    #[test]
    fn a_body_matches_its_own_checksums_only() {
        // RFC 9530 appendix B.1 and RFC 1321 appendix A.5 ("abc").
        let json = b"{\"hello\": \"world\"}\n";
        let of_json = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        for (name, value, body, right) in [
            ("content-digest", of_json, json.as_slice(), true),
            ("content-digest", of_json, b"other", false),
            ("content-md5", "kAFQmDzST7DWlj99KOF/cg==", b"abc", true),
            ("content-md5", "kAFQmDzST7DWlj99KOF/cg==", b"abd", false),
            (
                "x-amz-checksum-sha256",
                "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
                b"abc",
                true,
            ),
            ("content-digest", "unixsum=:AAAA:", b"anything", true),
        ] {
            let mut sums = sums(name, value).ok().unwrap();
            let (first, rest) = body.split_at(1);
            sums.update(first);
            sums.update(rest);
            assert_eq!(sums.matches(), right, "{name}: {value}");
        }
    }

    #[test]
    fn malformed_checksums_are_refused() {
        for (name, value) in [
            ("content-md5", "short"),
            ("content-md5", "AAAA"),
            ("content-digest", "sha-256=RK"),
            ("content-digest", "sha-256"),
        ] {
            assert!(sums(name, value).is_err(), "{name}: {value}");
        }
    }
}
