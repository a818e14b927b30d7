//! The record of a token: its object, limits, rules and callback.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Names a token: the first 128 bits of its digest. The store's key, and a handle that gives no access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub [u8; 16]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 32];
        // The buffer has twice the length of the id, so encoding cannot fail.
        let _ = hex::encode_to_slice(self.0, &mut hex);
        f.write_str(std::str::from_utf8(&hex).unwrap_or_default())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TokenId {
    type Err = hex::FromHexError;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 16];
        hex::decode_to_slice(hex, &mut id)?;
        Ok(Self(id))
    }
}

impl Serialize for TokenId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        hex.parse().map_err(serde::de::Error::custom)
    }
}

/// The method that a token permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Downloads.
    Get,
    /// The headers of a download.
    Head,
    /// Uploads.
    Put,
}

impl Method {
    /// The method's name in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
        }
    }
}

/// How a browser presents a download (RFC 6266).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Saved as a file.
    Attachment,
    /// Shown in the page.
    Inline,
}

/// When a download's hit is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HitOn {
    /// When the download is admitted.
    #[default]
    Start,
    /// When its last byte is sent.
    Complete,
}

/// The media type of a callback's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum BodyType {
    /// URL-encoded form.
    #[default]
    #[serde(rename = "application/x-www-form-urlencoded")]
    Form,
    /// JSON.
    #[serde(rename = "application/json")]
    Json,
}

impl BodyType {
    /// The media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }
}

/// Body of callbacks, in place of the gateway's own JSON. The sender defines its variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyTemplate {
    /// The text, with variables.
    pub text: String,
    /// Media type of the body.
    pub kind: BodyType,
}

/// When an upload is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackMode {
    /// When the object is stored; the callback follows.
    #[default]
    Async,
    /// When the callback's receiver has answered, with its answer.
    Sync,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn yes() -> bool {
    true
}

/// What a token permits. Stored as JSON; defaults are left out and unknown fields are ignored, so that
/// older and newer gateways can share a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Bucket alias.
    pub bucket: String,
    /// Object key.
    pub key: String,
    /// Name of the downloaded file, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filename: String,
    /// Permitted method.
    pub method: Method,
    /// Expiry, Unix seconds.
    pub expire_at: u64,
    /// Number of hits; `None` = unlimited.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_hits: Option<u64>,
    /// Upload limit in bytes; `None` = unlimited.
    #[serde(default, skip_serializing_if = "is_default")]
    pub size: Option<u64>,
    /// Callback URL.
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback: Option<String>,
    /// Template of the callback's body.
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback_body: Option<BodyTemplate>,
    /// When an upload is answered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback_mode: CallbackMode,
    /// Unix seconds.
    pub created_at: u64,
    /// Presentation of a download.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disposition: Option<Disposition>,
    /// Media type that an upload must have, or that a download is served with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub content_type: Option<String>,
    /// Whether an upload may replace an object.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub allow_overwrite: bool,
    /// Beginning of validity, Unix seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_before: Option<u64>,
    /// Networks of permitted clients; empty = all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allowed_ips: Vec<IpNet>,
    /// URL prefixes of permitted referers; empty = all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allowed_referers: Vec<String>,
    /// Length of a hit window: requests of one client within it use one hit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hit_window_seconds: Option<u64>,
    /// When a download's hit is spent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hit_on: HitOn,
    /// The operator's own data, copied to callbacks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: BTreeMap<String, String>,
    /// Labels, for listings and mass revocation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tags: Vec<String>,
}

impl TokenRecord {
    /// A token for `method` on an object, with every other field at its default.
    pub fn new(bucket: &str, key: &str, method: Method, created_at: u64, expire_at: u64) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            filename: String::new(),
            method,
            expire_at,
            max_hits: None,
            size: None,
            callback: None,
            callback_body: None,
            callback_mode: CallbackMode::Async,
            created_at,
            disposition: None,
            content_type: None,
            allow_overwrite: true,
            not_before: None,
            allowed_ips: Vec::new(),
            allowed_referers: Vec::new(),
            hit_window_seconds: None,
            hit_on: HitOn::Start,
            metadata: BTreeMap::new(),
            tags: Vec::new(),
        }
    }

    /// Whether the token has rules that only the caller of `reserve` can check.
    pub fn has_rules(&self) -> bool {
        !self.allowed_ips.is_empty()
            || !self.allowed_referers.is_empty()
            || self.not_before.is_some()
    }
}
