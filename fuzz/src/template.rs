//! Templates of callback bodies: an accepted template renders every event, and values cannot inject syntax.

use asset_gateway::callbacks::template::{TemplateError, check, render};
use asset_gateway_backends::caller::Caller;
use asset_gateway_backends::event::{Event, EventId, Outcome, Report};
use asset_gateway_backends::token_store::{BodyTemplate, BodyType, TokenId};
use serde::de::IgnoredAny;

/// `data`: texts separated by 0. The first is the template after `j` (JSON) or `f` (form); the others are the
/// values of an event that a client can choose.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut parts = text.split('\0');
    let template = parts.next().unwrap_or_default();
    let (kind, text) = match template.split_at_checked(1) {
        Some(("j", text)) => (BodyType::Json, text),
        Some(("f", text)) => (BodyType::Form, text),
        _ => return,
    };
    let template = BodyTemplate {
        text: text.to_owned(),
        kind,
    };
    if check(&template).is_err() {
        return;
    }
    let values: Vec<&str> = parts.collect();
    let body = match render(
        &template,
        &event(|n| values.get(n).copied().unwrap_or_default()),
    ) {
        Ok(body) => body,
        Err(TemplateError::LongBody) => return,
        Err(error) => panic!("an accepted template fails: {error}"),
    };
    let sample = render(&template, &event(|_| "1")).expect("it is short");
    match kind {
        BodyType::Json => {
            let parsed = serde_json::from_str::<IgnoredAny>(&body);
            assert!(parsed.is_ok(), "not JSON: {body}");
            assert_eq!(skeleton(&body), skeleton(&sample));
        }
        BodyType::Form => {
            let delimiters = |body: &str| body.matches(['&', '=', ';', '\n', '\r']).count();
            assert_eq!(delimiters(&body), delimiters(&sample), "{body}");
        }
    }
}

fn event<'a>(value: impl Fn(usize) -> &'a str) -> Event {
    let text = |n| value(n).to_owned();
    Event {
        id: EventId::from_string("evt_1".to_owned()),
        token_id: TokenId([0; 16]),
        target: String::new(),
        method: "PUT".to_owned(),
        bucket: text(0),
        key: text(1),
        caller: Caller {
            request_id: text(2),
            client_ip: text(3),
            ..Caller::default()
        },
        report: Report {
            outcome: Outcome::Complete,
            status: 200,
            size: value(4).parse().unwrap_or(value(4).len() as u64),
            etag: text(5),
            content_type: text(6),
        },
        timestamp: 0,
        metadata: [("a".to_owned(), text(7)), ("b".to_owned(), text(8))].into(),
        template: None,
    }
}

/// The JSON text with every string empty and every number 0.
fn skeleton(json: &str) -> String {
    let mut skeleton = String::new();
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                while let Some(inside) = letters.next().filter(|&inside| inside != '"') {
                    if inside == '\\' {
                        letters.next();
                    }
                }
                skeleton.push_str("\"\"");
            }
            '0'..='9' | '-' => {
                let number = |next: &char| matches!(next, '0'..='9' | '.' | 'e' | 'E' | '+' | '-');
                while letters.next_if(number).is_some() {}
                skeleton.push('0');
            }
            other => skeleton.push(other),
        }
    }
    skeleton
}
