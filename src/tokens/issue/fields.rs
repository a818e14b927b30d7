//! The rules of each field of a request, and the record that they make.

use std::collections::BTreeMap;

use asset_gateway_backends::reserved_keys::is_reserved;
use asset_gateway_backends::token_store::{HitOn, Method, TokenRecord};
use ipnet::IpNet;
use url::Url;

use super::{
    DISPOSITIONS, HIT_ONS, Invalid, IssueRequest, MAX_METADATA_BYTES, MAX_TAGS, METHODS, callback,
    choice, invalid, times,
};
use crate::buckets::Buckets;
use crate::callbacks::TargetPolicy;
use crate::config::networks;
use crate::filename::remove_invisible;
use crate::media_type::MediaType;

const MAX_KEY_BYTES: usize = 1024;
const MAX_TEXT_BYTES: usize = 1024;
const MAX_TAG_BYTES: usize = 128;
const MAX_LIST_LENGTH: usize = 100;
const MAX_HIT_WINDOW_SECONDS: u64 = 86_400;

/// Checks every field and makes the record.
pub fn record(
    request: IssueRequest,
    buckets: &Buckets,
    target_policy: &TargetPolicy,
    now: u64,
) -> Result<TokenRecord, Invalid> {
    let bucket = request
        .bucket
        .ok_or_else(|| Invalid("bucket is missing".into()))?;
    let Some(backend) = buckets.get(&bucket) else {
        return invalid(format!(
            "bucket: no bucket `{}` is configured",
            bucket.escape_debug()
        ));
    };
    let key = key(request.key)?;
    if let Err(refused) = backend.check_key(&key) {
        let reason = refused.reason().unwrap_or_default();
        return invalid(format!("key: this bucket cannot hold {reason}"));
    }
    let method = choice("method", request.method, METHODS)?
        .ok_or_else(|| Invalid("method is missing: GET, HEAD or PUT".into()))?;
    let default_hits = match method {
        Method::Put => Some(1),
        Method::Get | Method::Head => None,
    };
    let hit_on = choice("hit_on", request.hit_on, HIT_ONS)?.unwrap_or_default();
    let hit_window_seconds = hit_window(request.hit_window)?;
    if hit_window_seconds.is_some() && hit_on == HitOn::Complete {
        return invalid("hit_window cannot be used together with hit_on: complete");
    }
    if let Some(delivery) = request.delivery.filter(|delivery| delivery != "proxy") {
        return match delivery.as_str() {
            "redirect" => invalid("delivery: redirect is not part of this version yet"),
            _ => invalid("delivery: must be proxy"),
        };
    }
    let mut record = TokenRecord::new(&bucket, &key, method, now, 0);
    record.expire_at = times::expire_at(request.expire_at, now)?;
    record.filename = filename(request.filename)?;
    record.max_hits = limit("max_hits", request.max_hits, default_hits)?;
    record.size = limit("size", request.size, None)?;
    record.callback = callback::url(request.callback, target_policy)?;
    if record.callback.is_none() {
        if request.callback_body.is_some() {
            return invalid("callback_body: needs a callback");
        }
        if request.callback_mode.is_some() {
            return invalid("callback_mode: needs a callback");
        }
    }
    record.callback_body = callback::body(request.callback_body, request.callback_body_type)?;
    record.callback_mode = callback::mode(request.callback_mode, method)?;
    record.disposition = choice("disposition", request.disposition, DISPOSITIONS)?;
    record.content_type = content_type(request.content_type)?;
    record.allow_overwrite = request.allow_overwrite.unwrap_or(true);
    record.not_before = times::not_before(request.not_before, record.expire_at, now)?;
    record.allowed_ips = allowed_ips(request.allowed_ips)?;
    record.allowed_referers = referers(request.allowed_referers)?;
    record.hit_window_seconds = hit_window_seconds;
    record.hit_on = hit_on;
    record.metadata = metadata(request.metadata)?;
    record.tags = tags(request.tags)?;
    Ok(record)
}

/// Checks an object key: no control characters, and no segments that a client or a file system would
/// resolve, so that a key names one object everywhere.
fn key(key: Option<String>) -> Result<String, Invalid> {
    let key = key.ok_or_else(|| Invalid("key is missing".into()))?;
    if key.len() > MAX_KEY_BYTES {
        return invalid("key: at most 1024 bytes are allowed");
    }
    if key.chars().any(char::is_control) {
        return invalid("key: control characters are not allowed");
    }
    if key.starts_with('/') {
        return invalid("key: must not begin with /");
    }
    if key
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return invalid("key: the segments . and .. are not allowed");
    }
    if is_reserved(&key) {
        return invalid("key: names that begin with .asset-gateway, and .staging/, are reserved");
    }
    Ok(key)
}

fn filename(filename: Option<String>) -> Result<String, Invalid> {
    let filename = filename.unwrap_or_default();
    if filename.len() > MAX_TEXT_BYTES {
        return invalid("filename: at most 1024 bytes are allowed");
    }
    if filename.chars().any(char::is_control) {
        return invalid("filename: control characters are not allowed");
    }
    Ok(remove_invisible(&filename).into_owned())
}

/// Checks a count, where -1 means unlimited.
pub fn limit(
    field: &str,
    given: Option<i64>,
    default: Option<u64>,
) -> Result<Option<u64>, Invalid> {
    match given {
        None => Ok(default),
        Some(-1) => Ok(None),
        Some(n) => match u64::try_from(n) {
            Ok(n) if n > 0 => Ok(Some(n)),
            Ok(_) | Err(_) => invalid(format!("{field}: must be -1 (unlimited) or at least 1")),
        },
    }
}

fn seconds(field: &str, given: Option<i64>) -> Result<Option<u64>, Invalid> {
    given
        .map(|n| u64::try_from(n).map_err(|_| Invalid(format!("{field}: must not be negative"))))
        .transpose()
}

/// Checks the hit window, which the store keeps for each client.
fn hit_window(given: Option<i64>) -> Result<Option<u64>, Invalid> {
    let window = seconds("hit_window", given)?.filter(|s| *s > 0);
    if window.is_some_and(|seconds| seconds > MAX_HIT_WINDOW_SECONDS) {
        return invalid(format!(
            "hit_window: at most {MAX_HIT_WINDOW_SECONDS} seconds (a day) are allowed"
        ));
    }
    Ok(window)
}

fn content_type(content_type: Option<String>) -> Result<Option<String>, Invalid> {
    let Some(content_type) = content_type else {
        return Ok(None);
    };
    match MediaType::parse(&content_type) {
        None => invalid("content_type: must be one media type such as image/png"),
        Some(parsed) if parsed.is_multipart() => {
            invalid("content_type: a file is no multipart; name the file's own media type")
        }
        Some(_) => Ok(Some(content_type)),
    }
}

fn allowed_ips(given: Option<Vec<String>>) -> Result<Vec<IpNet>, Invalid> {
    let given = given.unwrap_or_default();
    if given.len() > MAX_LIST_LENGTH {
        return invalid("allowed_ips: at most 100 are allowed");
    }
    let mut found = Vec::new();
    for text in &given {
        let parsed = networks::parse(text);
        found.extend(parsed.map_err(|error| Invalid(format!("allowed_ips: {error}")))?);
    }
    Ok(found)
}

fn referers(given: Option<Vec<String>>) -> Result<Vec<String>, Invalid> {
    let given = given.unwrap_or_default();
    if given.len() > MAX_LIST_LENGTH {
        return invalid("allowed_referers: at most 100 are allowed");
    }
    for prefix in &given {
        let valid = Url::parse(prefix)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !valid || prefix.len() > MAX_TEXT_BYTES {
            return invalid(
                "allowed_referers: each must be the beginning of an http or https URL, with its host",
            );
        }
    }
    Ok(given)
}

pub fn metadata(
    metadata: Option<BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, Invalid> {
    let metadata = metadata.unwrap_or_default();
    let bytes: usize = metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > MAX_METADATA_BYTES {
        return invalid("metadata: at most 2048 bytes of names and values are allowed");
    }
    Ok(metadata)
}

fn tags(tags: Option<Vec<String>>) -> Result<Vec<String>, Invalid> {
    let mut tags = tags.unwrap_or_default();
    if tags.len() > MAX_TAGS {
        return invalid("tags: at most 10 are allowed");
    }
    for tag in &tags {
        if tag.is_empty() || tag.len() > MAX_TAG_BYTES || tag.chars().any(char::is_control) {
            return invalid("tags: each must be 1 to 128 bytes without control characters");
        }
    }
    tags.sort();
    tags.dedup();
    Ok(tags)
}
