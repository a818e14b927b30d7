//! The other side's arithmetic: what a cloud computes from a request as it arrives.
//!
//! Shares no line and no cryptographic crate with what the adapters sign with.

use std::time::{SystemTime, UNIX_EPOCH};

use asset_gateway_backends::object_backend::clouds::Signature;
use ring::{digest, hmac};

use crate::places::{ACCESS_KEY, Place, SECRET_KEY, SESSION_TOKEN};
use crate::scripted_storage::Request;

/// Says why the place's cloud would refuse the request, or would store under another key.
pub fn verify(place: &Place, key: &str, request: &Request) -> Result<(), String> {
    let host = request.header("host").unwrap_or_default();
    if host != place.host {
        return Err(format!("the host is {host}, expected {}", place.host));
    }
    let decoded = decode(path(request));
    let expected = format!("{}{key}", place.path);
    if decoded != expected.as_bytes() {
        let decoded = String::from_utf8_lossy(&decoded);
        return Err(format!("the path is {decoded}, expected {expected}"));
    }
    let (token, scope) = match place.signature {
        Signature::SigV4 => {
            let scope = format!("{}/s3/aws4_request", place.region);
            ("x-amz-security-token", Some((scope, "x-amz-date")))
        }
        Signature::OssV4 => {
            let scope = format!("{}/oss/aliyun_v4_request", place.region);
            ("x-oss-security-token", Some((scope, "x-oss-date")))
        }
        Signature::Cos => ("x-cos-security-token", None),
    };
    let expected_token = place.session_token.then_some(SESSION_TOKEN);
    if request.header(token) != expected_token {
        return Err(format!("{token} is {:?}", request.header(token)));
    }
    let authorization = request.header("authorization").unwrap_or_default();
    if let Some((scope, date)) = scope {
        let day = request
            .header(date)
            .and_then(|date| date.get(..8))
            .unwrap_or_default();
        let credential = format!("Credential={ACCESS_KEY}/{day}/{scope},");
        if !authorization.contains(&credential) {
            return Err(format!("{authorization} has not {credential}"));
        }
    }
    match place.signature {
        Signature::SigV4 => sig_v4(request, SECRET_KEY),
        Signature::OssV4 => oss_v4(request, place.bucket, SECRET_KEY),
        Signature::Cos => {
            is_in_time(authorization)?;
            cos(request, SECRET_KEY)
        }
    }
}

fn path(request: &Request) -> &str {
    request.target.split('?').next().unwrap_or_default()
}

fn query(request: &Request) -> Vec<(Vec<u8>, Vec<u8>)> {
    let query = request
        .target
        .split_once('?')
        .map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, value) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

fn encode(bytes: &[u8], slash: bool) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte.into());
            }
            b'/' if slash => text.push('/'),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    hex(hmac::sign(&key, text).as_ref())
}

fn compare(expected: &str, found: Option<&str>) -> Result<(), String> {
    match found == Some(expected) {
        true => Ok(()),
        false => Err(format!("the signature is {found:?}, expected {expected}")),
    }
}

/// `name=value` of an Authorization header, after the algorithm.
fn field<'a>(authorization: &'a str, separator: char, name: &str) -> Option<&'a str> {
    let fields = authorization.split(separator).map(str::trim);
    let mut values = fields.filter_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    values.next()
}

/// Both V4 derive a key from day, region and service, and sign a digest of the request.
fn v4(
    algorithm: &str,
    prefix: &str,
    date: &str,
    scope: &str,
    canonical: &str,
    secret: &str,
) -> String {
    let mut key = format!("{prefix}{secret}").into_bytes();
    for part in scope.split('/') {
        key = hmac_sha256(&key, part);
    }
    let digest = sha256(canonical.as_bytes());
    hex(&hmac_sha256(
        &key,
        &format!("{algorithm}\n{date}\n{scope}\n{digest}"),
    ))
}

fn v4_parts<'a>(request: &'a Request, algorithm: &str) -> Result<(&'a str, &'a str), String> {
    let authorization = request.header("authorization").ok_or("not signed")?;
    let fields = authorization
        .strip_prefix(algorithm)
        .ok_or_else(|| format!("signed otherwise: {authorization}"))?
        .trim_start();
    let credential = field(fields, ',', "Credential").ok_or("no credential")?;
    let (_, scope) = credential.split_once('/').ok_or("no scope")?;
    Ok((fields, scope))
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
pub fn sig_v4(request: &Request, secret: &str) -> Result<(), String> {
    let (fields, scope) = v4_parts(request, "AWS4-HMAC-SHA256")?;
    let signed = field(fields, ',', "SignedHeaders").ok_or("no signed headers")?;
    let names: Vec<&str> = signed.split(';').collect();
    let must = |name: &str| matches!(name, "host" | "content-md5") || name.starts_with("x-amz-");
    if let Some((name, _)) = request
        .headers
        .iter()
        .find(|(name, _)| must(name) && !names.contains(&name.as_str()))
    {
        return Err(format!("{name} is not signed"));
    }
    let payload = request
        .header("x-amz-content-sha256")
        .ok_or("no x-amz-content-sha256")?;
    if payload != "UNSIGNED-PAYLOAD" && payload != sha256(&request.body) {
        return Err("x-amz-content-sha256 is not that of the body".into());
    }
    let mut headers = String::new();
    for name in &names {
        let value = request
            .header(name)
            .ok_or_else(|| format!("{name} is signed and not sent"))?;
        let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        headers.push_str(&format!("{name}:{}\n", words.join(" ")));
    }
    let mut pairs: Vec<(String, String)> = query(request)
        .iter()
        .map(|(name, value)| (encode(name, false), encode(value, false)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let canonical = [
        &request.method,
        &encode(&decode(path(request)), true),
        &pairs.join("&"),
        &headers,
        signed,
        payload,
    ]
    .map(|line| line as &str)
    .join("\n");
    let date = request.header("x-amz-date").ok_or("no x-amz-date")?;
    let expected = v4("AWS4-HMAC-SHA256", "AWS4", date, scope, &canonical, secret);
    compare(&expected, field(fields, ',', "Signature"))
}

/// <https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4>
pub fn oss_v4(request: &Request, bucket: &str, secret: &str) -> Result<(), String> {
    let (fields, scope) = v4_parts(request, "OSS4-HMAC-SHA256")?;
    let additional = field(fields, ',', "AdditionalHeaders").unwrap_or_default();
    let payload = request
        .header("x-oss-content-sha256")
        .ok_or("no x-oss-content-sha256")?;
    if payload != "UNSIGNED-PAYLOAD" {
        return Err(format!("x-oss-content-sha256 is {payload}"));
    }
    let mut headers: Vec<String> = Vec::new();
    for (name, value) in &request.headers {
        let always = matches!(name.as_str(), "content-type" | "content-md5");
        if always || name.starts_with("x-oss-") || additional.split(';').any(|other| other == name)
        {
            headers.push(format!("{name}:{}\n", value.trim()));
        }
    }
    headers.sort();
    let mut pairs: Vec<String> = query(request)
        .iter()
        .map(|(name, value)| match value.is_empty() {
            true => encode(name, false),
            false => format!("{}={}", encode(name, false), encode(value, false)),
        })
        .collect();
    pairs.sort();
    let resource = [b"/", bucket.as_bytes(), &decode(path(request))].concat();
    let canonical = [
        &request.method,
        &encode(&resource, true),
        &pairs.join("&"),
        &headers.concat(),
        additional,
        payload,
    ]
    .map(|line| line as &str)
    .join("\n");
    let date = request.header("x-oss-date").ok_or("no x-oss-date")?;
    let expected = v4(
        "OSS4-HMAC-SHA256",
        "aliyun_v4",
        date,
        scope,
        &canonical,
        secret,
    );
    compare(&expected, field(fields, ',', "Signature"))
}

/// `q-sign-time=START;END`
fn is_in_time(authorization: &str) -> Result<(), String> {
    let time = field(authorization, '&', "q-sign-time").unwrap_or_default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let times: Vec<u64> = time
        .split(';')
        .filter_map(|time| time.parse().ok())
        .collect();
    match times.as_slice() {
        [start, end] if *start <= now && now <= *end => Ok(()),
        _ => Err(format!("q-sign-time is {time}, now is {now}")),
    }
}

/// <https://www.tencentcloud.com/document/product/436/7778>
pub fn cos(request: &Request, secret: &str) -> Result<(), String> {
    let authorization = request.header("authorization").ok_or("not signed")?;
    let field = |name| field(authorization, '&', name).ok_or(format!("no {name}"));
    if field("q-sign-algorithm")? != "sha1" || field("q-sign-time")? != field("q-key-time")? {
        return Err(format!("signed otherwise: {authorization}"));
    }
    // Lists of names, and `name=value` of each.
    let listed = |names: &str, value: &dyn Fn(&str) -> Option<Vec<u8>>| {
        let names = names.split(';').filter(|name| !name.is_empty());
        let pairs = names.map(|name| {
            let value = value(name).ok_or(format!("{name} is signed and not sent"))?;
            Ok(format!("{name}={}", encode(&value, false)))
        });
        pairs
            .collect::<Result<Vec<_>, String>>()
            .map(|pairs| pairs.join("&"))
    };
    let parameters = query(request);
    let parameters = listed(field("q-url-param-list")?, &|wanted| {
        let found = parameters
            .iter()
            .find(|(name, _)| encode(name, false).to_lowercase() == wanted);
        found.map(|(_, value)| value.clone())
    })?;
    let headers = listed(field("q-header-list")?, &|wanted| {
        let found = request.headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.trim().as_bytes().to_vec())
    })?;
    let canonical = [
        request.method.to_lowercase().as_bytes(),
        b"\n",
        &decode(path(request)),
        format!("\n{parameters}\n{headers}\n").as_bytes(),
    ]
    .concat();
    let digest = hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &canonical).as_ref());
    let time = field("q-key-time")?;
    let key = hmac_sha1(secret.as_bytes(), time.as_bytes());
    let expected = hmac_sha1(
        key.as_bytes(),
        format!("sha1\n{time}\n{digest}\n").as_bytes(),
    );
    compare(&expected, Some(field("q-signature")?))
}
