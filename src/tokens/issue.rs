//! `POST /token` and `PATCH`: a JSON body is checked and becomes a token record.
//!
//! Every error names the field and what to change.

mod callback;
mod fields;
pub mod times;

use std::collections::{BTreeMap, BTreeSet};

use asset_gateway_backends::token_store::{
    BodyType, CallbackMode, Disposition, HitOn, Method, Patch, TokenRecord,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::secret::TokenSecret;
use crate::buckets::Buckets;
use crate::callbacks::TargetPolicy;
use crate::config::UnknownFields;

pub const MAX_TAGS: usize = 10;
pub const MAX_METADATA_BYTES: usize = 2048;

/// Why a request is refused, and what to change; for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

fn invalid<T>(message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(message.into()))
}

/// The body of `POST /token`, field for field.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = NewToken)]
pub struct IssueRequest {
    /// A token of the caller's own, `[A-Za-z0-9._~-]{1,128}`; otherwise the gateway makes one.
    pub token: Option<String>,
    /// Bucket alias of the configuration.
    #[schema(required = true)]
    pub bucket: Option<String>,
    /// Object key, 1–1024 bytes.
    #[schema(required = true)]
    pub key: Option<String>,
    /// Name for the download. Invisible characters are dropped; `/` and `\` become `_` in it.
    pub filename: Option<String>,
    /// `GET`, `HEAD` or `PUT`.
    #[schema(required = true)]
    pub method: Option<String>,
    /// Unix seconds; default: now + 1800.
    pub expire_at: Option<i64>,
    /// -1 = unlimited; default 1 for `PUT`, -1 otherwise.
    pub max_hits: Option<i64>,
    /// Upload limit in bytes; -1 = unlimited, the default.
    pub size: Option<i64>,
    /// Absolute `http` or `https` URL that hears of each access.
    pub callback: Option<String>,
    /// The callback's body: text with variables such as `${object}`, as Aliyun OSS has them.
    pub callback_body: Option<String>,
    /// `application/x-www-form-urlencoded` (default) or `application/json`.
    pub callback_body_type: Option<String>,
    /// `async` (default), or `sync`: an upload is answered with what the callback's receiver answers.
    pub callback_mode: Option<String>,
    /// `attachment` or `inline`.
    pub disposition: Option<String>,
    /// One media type. An upload must have it, a download is served with it.
    pub content_type: Option<String>,
    /// Default true.
    pub allow_overwrite: Option<bool>,
    /// Unix seconds before which the token is refused.
    pub not_before: Option<i64>,
    /// Addresses or CIDR networks.
    pub allowed_ips: Option<Vec<String>>,
    /// URL prefixes of pages.
    pub allowed_referers: Option<Vec<String>>,
    /// Only `proxy` in this version.
    pub delivery: Option<String>,
    /// Seconds in which requests of one client count once; at most 86400.
    pub hit_window: Option<i64>,
    /// `start` (default) or `complete`.
    pub hit_on: Option<String>,
    /// Echoed in details and callbacks; at most 2 KiB.
    pub metadata: Option<BTreeMap<String, String>>,
    /// At most 10.
    pub tags: Option<Vec<String>>,
}

const FIELDS: &[&str] = &[
    "token",
    "bucket",
    "key",
    "filename",
    "method",
    "expire_at",
    "max_hits",
    "size",
    "callback",
    "callback_body",
    "callback_body_type",
    "callback_mode",
    "disposition",
    "content_type",
    "allow_overwrite",
    "not_before",
    "allowed_ips",
    "allowed_referers",
    "delivery",
    "hit_window",
    "hit_on",
    "metadata",
    "tags",
];

/// Fields where `""` means "not given", as clients in some languages send an empty string. For a number, a
/// list or a map, `""` is an error.
const TEXT_FIELDS: &[&str] = &[
    "token",
    "bucket",
    "key",
    "filename",
    "method",
    "callback",
    "callback_body",
    "callback_body_type",
    "callback_mode",
    "disposition",
    "content_type",
    "delivery",
    "hit_on",
];

/// Fields of later versions.
const FUTURE_FIELDS: &[&str] = &["process"];

/// A checked request.
#[derive(Debug)]
pub struct Issue {
    pub token: Option<TokenSecret>,
    pub record: TokenRecord,
}

/// Checks a request against the buckets, the target policy of callbacks and the clock (`now`: Unix seconds).
pub fn check(
    body: Map<String, Value>,
    unknown: UnknownFields,
    buckets: &Buckets,
    target_policy: &TargetPolicy,
    now: u64,
) -> Result<Issue, Invalid> {
    let request: IssueRequest = read(body, FIELDS, unknown)?;
    let token = match &request.token {
        None => None,
        Some(token) => Some(TokenSecret::parse(token).ok_or_else(|| {
            Invalid("token: 1 to 128 of A-Z a-z 0-9 . _ ~ - are allowed, but not . or ..".into())
        })?),
    };
    let record = fields::record(request, buckets, target_policy, now)?;
    Ok(Issue { token, record })
}

/// The body of `PATCH`.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = TokenPatch)]
pub struct PatchRequest {
    /// Unix seconds; `null`: now + 1800.
    pub expire_at: Option<i64>,
    /// -1 or `null` = unlimited.
    pub max_hits: Option<i64>,
    /// `null` or empty: none.
    pub callback: Option<String>,
    /// `null`: none.
    pub metadata: Option<BTreeMap<String, String>>,
}

const PATCH_FIELDS: &[&str] = &["expire_at", "max_hits", "callback", "metadata"];

/// Checks a `PATCH`; `null` clears a field.
pub fn check_patch(
    body: Map<String, Value>,
    unknown: UnknownFields,
    target_policy: &TargetPolicy,
    now: u64,
) -> Result<Patch, Invalid> {
    let given: BTreeSet<String> = body.keys().cloned().collect();
    let request: PatchRequest = read(body, PATCH_FIELDS, unknown)?;
    let has = |field| given.contains(field);
    Ok(Patch {
        expire_at: has("expire_at")
            .then(|| times::expire_at(request.expire_at, now))
            .transpose()?,
        max_hits: has("max_hits")
            .then(|| fields::limit("max_hits", request.max_hits, None))
            .transpose()?,
        callback: has("callback")
            .then(|| callback::url(request.callback, target_policy))
            .transpose()?,
        metadata: has("metadata")
            .then(|| fields::metadata(request.metadata))
            .transpose()?,
    })
}

/// Reads a JSON object, where an absent field, `null` and an empty text of [`TEXT_FIELDS`] mean the same.
fn read<T: for<'de> Deserialize<'de>>(
    mut body: Map<String, Value>,
    known: &[&str],
    unknown: UnknownFields,
) -> Result<T, Invalid> {
    for field in FUTURE_FIELDS {
        if body.contains_key(*field) && !body[*field].is_null() {
            return invalid(format!("{field} is not part of this version yet"));
        }
    }
    if unknown == UnknownFields::Reject
        && let Some(field) = body.keys().find(|field| !known.contains(&field.as_str()))
    {
        return invalid(format!(
            "unknown field `{}`; known are {}",
            field.escape_debug(),
            known.join(", ")
        ));
    }
    body.retain(|field, value| {
        let field = field.as_str();
        let is_empty = value.as_str() == Some("") && TEXT_FIELDS.contains(&field);
        known.contains(&field) && !value.is_null() && !is_empty
    });
    serde_path_to_error::deserialize(Value::Object(body))
        .map_err(|e| Invalid(format!("{}: {}", e.path(), e.inner())))
}

/// Reads an enum's value by its name.
fn choice<T: Copy>(
    field: &str,
    name: Option<String>,
    choices: &[(&str, T)],
) -> Result<Option<T>, Invalid> {
    let Some(name) = name else {
        return Ok(None);
    };
    match choices.iter().find(|(choice, _)| *choice == name) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            invalid(format!("{field}: must be one of {}", names.join(", ")))
        }
    }
}

const METHODS: &[(&str, Method)] = &[
    ("GET", Method::Get),
    ("HEAD", Method::Head),
    ("PUT", Method::Put),
];
const DISPOSITIONS: &[(&str, Disposition)] = &[
    ("attachment", Disposition::Attachment),
    ("inline", Disposition::Inline),
];
const BODY_TYPES: &[(&str, BodyType)] = &[
    (BodyType::Form.as_str(), BodyType::Form),
    (BodyType::Json.as_str(), BodyType::Json),
];
const CALLBACK_MODES: &[(&str, CallbackMode)] =
    &[("async", CallbackMode::Async), ("sync", CallbackMode::Sync)];
const HIT_ONS: &[(&str, HitOn)] = &[("start", HitOn::Start), ("complete", HitOn::Complete)];

#[cfg(test)]
mod tests;
