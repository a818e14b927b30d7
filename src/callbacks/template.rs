//! Bodies from a token's own template, with the variables and the escaping of Aliyun OSS
//! (<https://help.aliyun.com/zh/oss/developer-reference/callback>), whose receivers then work unchanged.
//!
//! In a form, values are percent-encoded. In JSON, a variable becomes a JSON value, and text has its own
//! quotes: `{"object":${object},"size":${size}}`; inside a string, a variable becomes a part of the string.

use asset_gateway_backends::event::Event;
use asset_gateway_backends::token_store::{BodyTemplate, BodyType};
use serde::de::IgnoredAny;
use url::form_urlencoded;

/// Longest template, as in OSS.
const MAX_TEMPLATE_BYTES: usize = 5 * 1024;
/// Longest body. A template that repeats long metadata would else make one of megabytes.
const MAX_BODY_BYTES: usize = 256 * 1024;
const VARIABLES: &str = "${bucket}, ${object}, ${etag}, ${size}, ${mimeType}, ${method}, \
                         ${clientIp}, ${reqId}, ${x:NAME}";

/// Why a template is refused; for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("at most {MAX_TEMPLATE_BYTES} bytes are allowed")]
    TooLong,
    #[error("a `${{` is not closed: `{0}`")]
    Unclosed(String),
    #[error("unknown variable `${{{0}}}`; known are {VARIABLES}")]
    Unknown(String),
    /// The first character of the value would become part of the escape.
    #[error("`${{{0}}}` follows a backslash, which has no place before a variable")]
    Escaped(String),
    #[error("the body would have more than {MAX_BODY_BYTES} bytes")]
    LongBody,
    #[error("is not JSON once its variables are filled in: {0}")]
    NotJson(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable<'a> {
    Bucket,
    Object,
    Etag,
    Size,
    MimeType,
    Method,
    ClientIp,
    RequestId,
    /// `x:NAME`: metadata of the token; empty where it has none of this name.
    Metadata(&'a str),
}

impl<'a> Variable<'a> {
    fn named(name: &'a str) -> Option<Self> {
        match name {
            "bucket" => Some(Self::Bucket),
            "object" => Some(Self::Object),
            "etag" => Some(Self::Etag),
            "size" => Some(Self::Size),
            "mimeType" => Some(Self::MimeType),
            "method" => Some(Self::Method),
            "clientIp" => Some(Self::ClientIp),
            "reqId" => Some(Self::RequestId),
            other => {
                let name = other.strip_prefix("x:")?;
                (!name.is_empty()).then_some(Self::Metadata(name))
            }
        }
    }

    fn value(self, event: &Event) -> Value<'_> {
        match self {
            Self::Bucket => Value::Text(&event.bucket),
            Self::Object => Value::Text(&event.key),
            Self::Etag => Value::Text(&event.report.etag),
            Self::Size => Value::Number(event.report.size),
            Self::MimeType => Value::Text(&event.report.content_type),
            Self::Method => Value::Text(&event.method),
            Self::ClientIp => Value::Text(&event.caller.client_ip),
            Self::RequestId => Value::Text(&event.caller.request_id),
            Self::Metadata(name) => Value::Text(event.metadata.get(name).map_or("", |text| text)),
        }
    }
}

enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

enum Segment<'a> {
    Literal(&'a str),
    Variable(&'a str, Variable<'a>),
}

/// A `$` without a brace is text.
fn segments(text: &str) -> Result<Vec<Segment<'_>>, TemplateError> {
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            let begin = format!("${{{}", after.chars().take(20).collect::<String>());
            return Err(TemplateError::Unclosed(begin.escape_debug().to_string()));
        };
        let Some(variable) = Variable::named(name) else {
            return Err(TemplateError::Unknown(name.escape_debug().to_string()));
        };
        segments.push(Segment::Literal(literal));
        segments.push(Segment::Variable(name, variable));
        rest = after;
    }
    segments.push(Segment::Literal(rest));
    Ok(segments)
}

/// Checks that every event can be rendered with this template.
pub fn check(template: &BodyTemplate) -> Result<(), TemplateError> {
    if template.text.len() > MAX_TEMPLATE_BYTES {
        return Err(TemplateError::TooLong);
    }
    let segments = segments(&template.text)?;
    match template.kind {
        BodyType::Form => Ok(()),
        // A zero before other digits is no JSON number.
        BodyType::Json => [10, 0]
            .into_iter()
            .try_for_each(|size| check_json(&segments, size)),
    }
}

/// Checks that the rendered body is JSON, which does not depend on the values of texts.
fn check_json(segments: &[Segment<'_>], size: u64) -> Result<(), TemplateError> {
    let value = |variable| match variable == Variable::Size {
        true => Value::Number(size),
        false => Value::Text("text"),
    };
    let sample = fill(segments, BodyType::Json, value)?;
    serde_json::from_str::<IgnoredAny>(&sample)
        .map(drop)
        .map_err(|error| TemplateError::NotJson(error.to_string()))
}

/// Renders the body of an event. The template was checked when its token was made; the body's length
/// depends on the event.
pub fn render(template: &BodyTemplate, event: &Event) -> Result<String, TemplateError> {
    let segments = segments(&template.text)?;
    fill(&segments, template.kind, |variable| variable.value(event))
}

fn fill<'a>(
    segments: &[Segment<'a>],
    kind: BodyType,
    value: impl Fn(Variable<'a>) -> Value<'a>,
) -> Result<String, TemplateError> {
    let mut body = String::new();
    let mut quotes = Quotes::default();
    for segment in segments {
        match segment {
            Segment::Literal(text) => {
                quotes.pass(text);
                body.push_str(text);
            }
            Segment::Variable(name, _) if kind == BodyType::Json && quotes.escaped => {
                return Err(TemplateError::Escaped(name.escape_debug().to_string()));
            }
            Segment::Variable(_, variable) => match (kind, value(*variable)) {
                (_, Value::Number(number)) => body.push_str(&number.to_string()),
                (BodyType::Form, Value::Text(text)) => {
                    body.extend(form_urlencoded::byte_serialize(text.as_bytes()));
                }
                (BodyType::Json, Value::Text(text)) => {
                    let quoted = serde_json::Value::from(text).to_string();
                    body.push_str(match quotes.open {
                        true => &quoted[1..quoted.len() - 1],
                        false => &quoted,
                    });
                }
            },
        }
        if body.len() > MAX_BODY_BYTES {
            return Err(TemplateError::LongBody);
        }
    }
    Ok(body)
}

/// Tracks whether a place in JSON is inside a string.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn pass(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                _ if self.escaped => self.escaped = false,
                '\\' if self.open => self.escaped = true,
                '"' => self.open = !self.open,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callbacks::message::tests::event;

    fn template(text: &str, kind: BodyType) -> BodyTemplate {
        BodyTemplate {
            text: text.to_owned(),
            kind,
        }
    }

    fn error(text: &str, kind: BodyType) -> String {
        check(&template(text, kind)).unwrap_err().to_string()
    }

    fn rendered(text: &str, kind: BodyType) -> String {
        let template = template(text, kind);
        check(&template).unwrap_or_else(|error| panic!("{text}: {error}"));
        render(&template, &event()).unwrap()
    }

    /// The example of the OSS documentation.
    #[test]
    fn forms_are_percent_encoded() {
        assert_eq!(
            rendered(
                "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&my_var=${x:order}&none=${x:none}",
                BodyType::Form
            ),
            "bucket=prod-assets&object=uploads%2F%E6%8A%A5%E5%91%8A.pdf&etag=e&size=83214\
             &mimeType=application%2Fpdf&my_var=a%26b%3D%22c%22%5C+d&none="
        );
    }

    #[test]
    fn json_values_have_their_own_quotes() {
        let body = rendered(
            r#"{"bucket":${bucket},"object":${object},"size":${size},"mimeType":${mimeType},"x:var":${x:order},"m":${method},"ip":${clientIp},"id":${reqId}}"#,
            BodyType::Json,
        );
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({"bucket": "prod-assets", "object": "uploads/报告.pdf",
            "size": 83214, "mimeType": "application/pdf", "x:var": "a&b=\"c\"\\ d", "m": "PUT",
            "ip": "127.0.0.1", "id": "r"});
        assert_eq!(body, expected);
    }

    #[test]
    fn a_variable_in_a_json_string_is_a_part_of_it() {
        let body = rendered(
            r#"{"url":"https://cdn/${object}?n=${size}","\"${x:order}":"\\","v":"${x:order}"}"#,
            BodyType::Json,
        );
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({"url": "https://cdn/uploads/报告.pdf?n=83214",
            "\"a&b=\"c\"\\ d": "\\", "v": "a&b=\"c\"\\ d"});
        assert_eq!(body, expected);
    }

    #[test]
    fn a_dollar_without_a_brace_is_text() {
        assert_eq!(rendered("a=$5&b=$$&c=}{", BodyType::Form), "a=$5&b=$$&c=}{");
        assert_eq!(rendered("$${size}", BodyType::Form), "$83214");
    }

    #[test]
    fn a_refused_template_names_its_error() {
        let unknown = error("a=${bucket}&b=${imageInfo.width}", BodyType::Form);
        assert!(unknown.contains("`${imageInfo.width}`"), "{unknown}");
        assert!(unknown.contains("${mimeType}"), "{unknown}");
        for text in ["${}", "${x:}", "${Bucket}", "${ size}", "${a${size}}"] {
            assert!(error(text, BodyType::Form).contains("unknown"), "{text}");
        }
        let unclosed = error("a=${bucket}&b=${size", BodyType::Form);
        assert!(unclosed.contains("`${size`"), "{unclosed}");
        for text in [
            "a=${size}",
            r#"{"a":${size}"#,
            r#"{"a":"${size}}"#,
            r#"{${size}:1}"#,
        ] {
            assert!(error(text, BodyType::Json).contains("JSON"), "{text}");
        }
        for (text, named) in [
            (r#"{"a":"\${mimeType}"}"#, "`${mimeType}`"),
            (r#"{"a":"\\\${x:a}"}"#, "`${x:a}`"),
            (r#"{"a":"\${size}"}"#, "`${size}`"),
        ] {
            let message = error(text, BodyType::Json);
            assert!(
                message.contains(named) && message.contains("backslash"),
                "{message}"
            );
        }
        for text in [
            "${size}${size}",
            "${size}5",
            r#"{"n":${size}0}"#,
            r#""\u00${size}""#,
            r#""\u00${x:a}""#,
        ] {
            assert!(error(text, BodyType::Json).contains("JSON"), "{text}");
        }
        let long = "x".repeat(MAX_TEMPLATE_BYTES + 1);
        assert!(error(&long, BodyType::Form).contains("5120"));
        assert_eq!(check(&template(&long[1..], BodyType::Form)), Ok(()));
    }

    /// A record of an older version may have a template that is refused now.
    #[test]
    fn a_stored_template_cannot_be_broken_out_of() {
        let mut event = event();
        event.report.content_type = r#"","admin":true,"x":""#.to_owned();
        let stored = template(r#"{"a":"\${mimeType}"}"#, BodyType::Json);
        let refused = render(&stored, &event).unwrap_err();
        assert!(refused.to_string().contains("`${mimeType}`"), "{refused}");
        let escaped = template(r#"{"a":"\\${mimeType}"}"#, BodyType::Json);
        let body: serde_json::Value =
            serde_json::from_str(&render(&escaped, &event).unwrap()).unwrap();
        let value = format!("\\{}", event.report.content_type);
        assert_eq!(body, serde_json::json!({"a": value}));
    }

    #[test]
    fn the_length_of_a_body_is_limited() {
        let mut event = event();
        let value = "x".repeat(2048);
        event.metadata.insert("a".to_owned(), value);
        for (times, fits) in [(128, true), (129, false), (853, false)] {
            let template = template(&"${x:a}".repeat(times), BodyType::Form);
            assert_eq!(check(&template), Ok(()));
            let rendered = render(&template, &event);
            assert_eq!(rendered.is_ok(), fits, "{times}");
        }
    }
}
