//! The message that a receiver gets: body and headers of Standard Webhooks 1.0.0.

use std::collections::BTreeMap;

use asset_gateway_backends::event::{Event, Outcome};
use asset_gateway_backends::token_store::BodyType;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use serde::Serialize;

use super::signature::Signer;
use super::template::{self, TemplateError};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Headers and body of one attempt's request.
pub(super) struct Message {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why a stored event cannot be sent: it is not what this version writes.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the event's id is not a header value")]
    Id(#[from] InvalidHeaderValue),
    #[error("the event is not JSON: {0}")]
    Body(#[from] serde_json::Error),
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl Message {
    /// Builds and signs the message. `now_seconds`: Unix time of the attempt. Every attempt has the same id.
    pub(super) fn new(
        event: &Event,
        now_seconds: u64,
        signer: &Signer,
    ) -> Result<Self, MessageError> {
        let (body, kind) = match &event.template {
            None => (serde_json::to_vec(&Payload::of(event))?, BodyType::Json),
            Some(template) => (
                template::render(template, event)?.into_bytes(),
                template.kind,
            ),
        };
        let body = Bytes::from(body);
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(kind.as_str())),
            (WEBHOOK_ID, HeaderValue::from_str(event.id.as_str())?),
            (WEBHOOK_TIMESTAMP, HeaderValue::from(now_seconds)),
        ]);
        let signature = signer.sign(event.id.as_str(), now_seconds, &body);
        headers.extend(signature.map(|signature| (WEBHOOK_SIGNATURE, signature)));
        Ok(Self { headers, body })
    }
}

/// The default body. The first thirteen fields are those of the first AssetGateway, in its order.
#[derive(Serialize)]
struct Payload<'a> {
    event: &'static str,
    method: &'a str,
    status: u16,
    bucket: &'a str,
    key: &'a str,
    size: u64,
    etag: &'a str,
    range: &'a str,
    client_ip: &'a str,
    user_agent: &'a str,
    referer: &'a str,
    request_id: &'a str,
    timestamp: u64,
    event_id: &'a str,
    token_id: String,
    metadata: &'a BTreeMap<String, String>,
    outcome: Outcome,
}

impl<'a> Payload<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            event: "asset.access",
            method: &event.method,
            status: event.report.status,
            bucket: &event.bucket,
            key: &event.key,
            size: event.report.size,
            etag: &event.report.etag,
            range: &event.caller.range,
            client_ip: &event.caller.client_ip,
            user_agent: &event.caller.user_agent,
            referer: &event.caller.referer,
            request_id: &event.caller.request_id,
            timestamp: event.timestamp,
            event_id: event.id.as_str(),
            token_id: event.token_id.to_string(),
            metadata: &event.metadata,
            outcome: event.report.outcome,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use asset_gateway_backends::caller::Caller;
    use asset_gateway_backends::event::{EventId, Report};
    use asset_gateway_backends::token_store::{BodyTemplate, TokenId};

    pub fn event() -> Event {
        Event {
            id: EventId::from_string("evt_1".to_owned()),
            token_id: TokenId([0xab; 16]),
            target: "https://user:secret@example.com/cb".to_owned(),
            method: "PUT".to_owned(),
            bucket: "prod-assets".to_owned(),
            key: "uploads/报告.pdf".to_owned(),
            caller: Caller {
                request_id: "r".to_owned(),
                client_ip: "127.0.0.1".to_owned(),
                user_agent: "curl/8.7.1".to_owned(),
                referer: String::new(),
                range: String::new(),
            },
            report: Report {
                outcome: Outcome::Complete,
                status: 200,
                size: 83214,
                etag: "e".to_owned(),
                content_type: "application/pdf".to_owned(),
            },
            timestamp: 1_760_000_000,
            metadata: BTreeMap::from([("order".to_owned(), "a&b=\"c\"\\ d".to_owned())]),
            template: None,
        }
    }

    #[test]
    fn fields_are_in_the_order_of_the_contract() {
        let mut event = event();
        event.metadata = BTreeMap::from([("order".to_owned(), "7".to_owned())]);
        let message = Message::new(&event, 1_760_000_009, &Signer::new(&[])).unwrap();
        assert_eq!(
            std::str::from_utf8(&message.body).unwrap(),
            concat!(
                r#"{"event":"asset.access","method":"PUT","status":200,"bucket":"prod-assets","#,
                r#""key":"uploads/报告.pdf","size":83214,"etag":"e","range":"","#,
                r#""client_ip":"127.0.0.1","user_agent":"curl/8.7.1","referer":"","#,
                r#""request_id":"r","timestamp":1760000000,"event_id":"evt_1","#,
                r#""token_id":"abababababababababababababababab","metadata":{"order":"7"},"#,
                r#""outcome":"complete"}"#
            )
        );
        assert_eq!(message.headers["webhook-id"], "evt_1");
        assert_eq!(message.headers["webhook-timestamp"], "1760000009");
        assert_eq!(message.headers["content-type"], "application/json");
        assert!(!message.headers.contains_key("webhook-signature"));
    }

    #[test]
    fn a_template_replaces_the_default_body() {
        let mut event = event();
        for (kind, text) in [
            (BodyType::Form, "size=${size}"),
            (BodyType::Json, r#"{"size":${size}}"#),
        ] {
            let text = text.to_owned();
            let expected = text.replace("${size}", "83214");
            event.template = Some(BodyTemplate { text, kind });
            let message = Message::new(&event, 1, &Signer::new(&[])).unwrap();
            assert_eq!(message.body, expected);
            assert_eq!(message.headers["content-type"], kind.as_str());
        }
    }
}
