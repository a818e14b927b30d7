//! What a token says.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The first 128 bits of a token's digest: the store's key, and a handle that opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub [u8; 16]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 32];
        // A slice of twice the length always fits.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Head,
    Put,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    Attachment,
    Inline,
}

/// When a download's hit is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HitOn {
    /// When it is admitted.
    #[default]
    Start,
    /// When its last byte went out.
    Complete,
}

/// The media type of a callback's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum BodyType {
    #[default]
    #[serde(rename = "application/x-www-form-urlencoded")]
    Form,
    #[serde(rename = "application/json")]
    Json,
}

impl BodyType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }
}

/// What callbacks send in place of the gateway's own JSON. Its variables are those of who sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyTemplate {
    pub text: String,
    pub kind: BodyType,
}

/// When an upload is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackMode {
    /// When it is stored; the callback follows.
    #[default]
    Async,
    /// When the receiver of the callback has answered, with its answer.
    Sync,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn yes() -> bool {
    true
}

/// What was asked for when the token was made. Stored as JSON; fields at their default are left
/// out, unknown ones are ignored, so that older and newer gateways can share a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Bucket alias.
    pub bucket: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filename: String,
    pub method: Method,
    /// Unix seconds.
    pub expire_at: u64,
    /// `None` = unlimited.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_hits: Option<u64>,
    /// Upload limit in bytes; `None` = unlimited.
    #[serde(default, skip_serializing_if = "is_default")]
    pub size: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback_body: Option<BodyTemplate>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback_mode: CallbackMode,
    /// Unix seconds.
    pub created_at: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub disposition: Option<Disposition>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub content_type: Option<String>,
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub allow_overwrite: bool,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_before: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub allowed_ips: Vec<IpNet>,
    /// URL prefixes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allowed_referers: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub hit_window_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub hit_on: HitOn,
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: BTreeMap<String, String>,
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

    /// Admission needs facts that only the caller has.
    pub fn has_rules(&self) -> bool {
        !self.allowed_ips.is_empty()
            || !self.allowed_referers.is_empty()
            || self.not_before.is_some()
    }
}
