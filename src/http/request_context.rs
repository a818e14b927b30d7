//! Request id, client address and caller of a request, known before its handler runs.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use asset_gateway_backends::caller::CallerRef;
use asset_gateway_backends::client_address::ClientAddress;

use super::referer;
use crate::tokens::TokenSecret;
use crate::tokens::redeem::Client;

pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Request extension, added by [`super::access_log`].
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Visible ASCII.
    pub request_id: HeaderValue,
    /// The address that [`super::forwarded`] finds.
    pub client_ip: ClientAddress,
}

impl RequestContext {
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// The client of a request for `token`. Headers that are not text count as empty. `public_base` is the
    /// base of the URLs that the gateway hands out.
    pub fn client<'a>(
        &'a self,
        headers: &'a HeaderMap,
        public_base: &str,
        token: &TokenSecret,
    ) -> Client<'a> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .unwrap_or_default()
        };
        let referer = text(http::header::REFERER);
        let own = [authority(public_base), text(http::header::HOST)];
        Client {
            caller: CallerRef {
                request_id: self.request_id(),
                client_ip: self.client_ip,
                user_agent: text(http::header::USER_AGENT),
                referer: referer::redact(referer, &own, token.expose()),
                range: text(http::header::RANGE),
            },
            referer,
        }
    }
}

/// Host and port of a URL.
fn authority(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after.split('/').next().unwrap_or_default()
}

/// The caller's `X-Request-Id` if it has 1 to 128 visible ASCII characters, else a UUID.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    match headers.get(&X_REQUEST_ID) {
        Some(id)
            if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic) =>
        {
            id.clone()
        }
        Some(_) | None => {
            let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
            let id = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut id);
            // A UUID is visible ASCII.
            HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
        }
    }
}

/// The method as a metric label; `other` for unknown methods.
pub fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn valid_request_ids_are_kept_and_others_replaced() {
        let keep = request_id(&headers(&[("x-request-id", "abc-1")]));
        assert_eq!(keep, "abc-1");
        for bad in ["", "has space", &"x".repeat(129)] {
            let made = request_id(&headers(&[("x-request-id", bad)]));
            assert_eq!(made.len(), 36, "{bad}");
        }
    }
}
