//! Response bodies of the control plane's calls about tokens.

use std::collections::BTreeMap;

use asset_gateway_backends::object_backend::ObjectMeta;
use asset_gateway_backends::token_store::{
    BodyType, CallbackMode, Disposition, HitOn, StoredToken, TokenId, TokenRecord,
};
use serde::Serialize;

use crate::http::state::AppState;
use crate::tokens::TokenSecret;

fn object_url(state: &AppState, token: &TokenSecret) -> String {
    format!("{}/object/{}", state.public_base, token.expose())
}

fn status_url(state: &AppState, token: &TokenSecret) -> String {
    format!("{}/token/{}/status", state.public_base, token.expose())
}

/// −1: no limit.
fn signed(limit: Option<u64>) -> i64 {
    limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

/// The answer of `POST /token`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CreatedToken)]
pub struct CreatedView {
    pub token: String,
    pub method: &'static str,
    pub filename: String,
    /// Unix seconds.
    pub expire_at: u64,
    pub url: String,
    pub status_url: String,
    pub token_id: String,
}

impl CreatedView {
    pub fn new(state: &AppState, token: &TokenSecret, id: TokenId, record: &TokenRecord) -> Self {
        Self {
            token: token.expose().to_owned(),
            method: record.method.as_str(),
            filename: record.filename.clone(),
            expire_at: record.expire_at,
            url: object_url(state, token),
            status_url: status_url(state, token),
            token_id: id.to_string(),
        }
    }
}

/// A token's record. `token` and `url` are there where the request named the token itself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    pub token_id: String,
    pub bucket: String,
    pub key: String,
    pub filename: String,
    pub method: &'static str,
    /// Unix seconds.
    pub expire_at: u64,
    /// -1 = unlimited.
    pub max_hits: i64,
    pub used_hits: u64,
    /// Upload limit in bytes; -1 = unlimited.
    pub size: i64,
    pub callback: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub callback_body_type: Option<BodyType>,
    #[schema(value_type = String)]
    pub callback_mode: CallbackMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Unix seconds.
    pub created_at: u64,
    pub allow_overwrite: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub disposition: Option<Disposition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_ips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_referers: Vec<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit_window: Option<u64>,
    #[schema(value_type = String)]
    pub hit_on: HitOn,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl TokenView {
    pub fn new(state: &AppState, token: Option<&TokenSecret>, stored: StoredToken) -> Self {
        let record = stored.record;
        let (body, body_type) = record
            .callback_body
            .map(|template| (template.text, template.kind))
            .unzip();
        Self {
            token: token.map(|token| token.expose().to_owned()),
            token_id: stored.id.to_string(),
            bucket: record.bucket,
            key: record.key,
            filename: record.filename,
            method: record.method.as_str(),
            expire_at: record.expire_at,
            max_hits: signed(record.max_hits),
            used_hits: stored.used_hits,
            size: signed(record.size),
            callback: record.callback.unwrap_or_default(),
            callback_body: body,
            callback_body_type: body_type,
            callback_mode: record.callback_mode,
            url: token.map(|token| object_url(state, token)),
            created_at: record.created_at,
            allow_overwrite: record.allow_overwrite,
            disposition: record.disposition,
            content_type: record.content_type,
            not_before: record.not_before,
            allowed_ips: record.allowed_ips.iter().map(ToString::to_string).collect(),
            allowed_referers: record.allowed_referers,
            hit_window: record.hit_window_seconds,
            hit_on: record.hit_on,
            metadata: record.metadata,
            tags: record.tags,
        }
    }
}

/// The answer of `GET /token/{token}/status`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TokenStatus)]
pub struct StatusView {
    #[serde(flatten)]
    pub record: TokenView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_url: Option<String>,
    /// For a PUT token: an upload through it is there. For others: the object is there.
    pub uploaded: bool,
    pub object_exists: bool,
    /// Bytes; 0 where the object is not there, `null` where storage does not say.
    pub object_size: Option<u64>,
    pub etag: String,
    /// Unix seconds of the last upload through this token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded_at: Option<u64>,
}

impl StatusView {
    pub fn new(
        state: &AppState,
        token: Option<&TokenSecret>,
        stored: StoredToken,
        uploaded: bool,
        object: Option<ObjectMeta>,
    ) -> Self {
        let uploaded_at = stored.uploaded_at;
        let object_exists = object.is_some();
        let object = object.unwrap_or_default();
        Self {
            record: TokenView::new(state, token, stored),
            status_url: token.map(|token| status_url(state, token)),
            uploaded,
            object_exists,
            object_size: match object_exists {
                true => object.size,
                false => Some(0),
            },
            etag: object.etag.unwrap_or_default(),
            uploaded_at,
        }
    }
}
