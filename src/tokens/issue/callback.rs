//! The callback fields of a request: URL, body template, mode.

use asset_gateway_backends::token_store::{BodyTemplate, CallbackMode, Method};
use url::Url;

use super::{BODY_TYPES, CALLBACK_MODES, Invalid, choice, invalid};
use crate::callbacks::{TargetPolicy, template};

/// Checks the callback URL. Its name is resolved only when an event is sent.
pub fn url(
    callback: Option<String>,
    target_policy: &TargetPolicy,
) -> Result<Option<String>, Invalid> {
    let Some(callback) = callback.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    // The URL parser drops line breaks without an error.
    let is_plain = callback.len() <= 4096 && !callback.chars().any(char::is_control);
    let url = Url::parse(&callback)
        .ok()
        .filter(|url| is_plain && matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        return invalid("callback: must be an absolute http or https URL");
    };
    match target_policy.check(&url) {
        Ok(()) => Ok(Some(callback)),
        Err(denied) => invalid(format!("callback: {denied}")),
    }
}

/// Checks the body template.
pub fn body(text: Option<String>, kind: Option<String>) -> Result<Option<BodyTemplate>, Invalid> {
    let kind = choice("callback_body_type", kind, BODY_TYPES)?;
    let Some(text) = text else {
        return match kind {
            Some(_) => invalid("callback_body_type: needs a callback_body"),
            None => Ok(None),
        };
    };
    let template = BodyTemplate {
        text,
        kind: kind.unwrap_or_default(),
    };
    match template::check(&template) {
        Ok(()) => Ok(Some(template)),
        Err(error) => invalid(format!("callback_body: {error}")),
    }
}

/// Checks the callback mode, of which `sync` is for uploads.
pub fn mode(mode: Option<String>, method: Method) -> Result<CallbackMode, Invalid> {
    let mode = choice("callback_mode", mode, CALLBACK_MODES)?.unwrap_or_default();
    match (mode, method) {
        (CallbackMode::Sync, Method::Get | Method::Head) => {
            invalid("callback_mode: sync is for PUT")
        }
        (CallbackMode::Sync, Method::Put) | (CallbackMode::Async, _) => Ok(mode),
    }
}
