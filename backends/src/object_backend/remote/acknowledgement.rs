//! Which responses to a writing request count as storage's own success.
//!
//! A proxy may answer in storage's place, with 200 and a page of its own. Only an entity tag acknowledges
//! an upload: in a header or, of a multipart upload, in the XML of the completion. After any other
//! success the object itself has to be looked at.

use http::header::ETAG;
use http::{HeaderMap, Method, StatusCode};

use super::response::headers::{etag, is_html};

/// A success response that is not storage's, or does not tell what storage has done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} does not acknowledge the request: {what}")]
pub struct NotAcknowledged {
    status: u16,
    what: &'static str,
}

/// A request that changes something in storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    PutObject,
    UploadPart,
    CreateMultipart,
    CompleteMultipart,
    /// Deletes an object or aborts a multipart upload.
    Delete,
}

impl Write {
    /// `None`: the request only reads.
    pub fn of(method: &Method, query: Option<&str>) -> Option<Self> {
        let named = |name: &str| {
            let mut pairs = query.unwrap_or_default().split('&');
            pairs.any(|pair| pair.split('=').next() == Some(name))
        };
        match *method {
            Method::PUT if named("partNumber") => Some(Self::UploadPart),
            Method::PUT => Some(Self::PutObject),
            Method::POST if named("uploads") => Some(Self::CreateMultipart),
            Method::POST if named("uploadId") => Some(Self::CompleteMultipart),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    /// Checks the headers of a success response. Other responses pass.
    pub fn check(self, status: StatusCode, headers: &HeaderMap) -> Result<(), NotAcknowledged> {
        let no = |what| {
            Err(NotAcknowledged {
                status: status.as_u16(),
                what,
            })
        };
        match self {
            _ if !status.is_success() => Ok(()),
            _ if is_html(headers) => no("an HTML page"),
            Self::PutObject | Self::UploadPart if etag(headers).is_none() => no("no entity tag"),
            Self::PutObject
            | Self::UploadPart
            | Self::CreateMultipart
            | Self::CompleteMultipart
            | Self::Delete => Ok(()),
        }
    }

    /// Keeps only the entity tag of an acknowledgement: a client library would fail on another header
    /// that it cannot parse.
    pub fn strip(self, status: StatusCode, headers: &mut HeaderMap) {
        if !status.is_success() {
            return;
        }
        match self {
            Self::PutObject | Self::UploadPart | Self::CompleteMultipart => {
                let tag = headers.remove(ETAG);
                headers.clear();
                headers.extend(tag.map(|tag| (ETAG, tag)));
            }
            Self::CreateMultipart | Self::Delete => headers.clear(),
        }
    }

    /// Checks the body of a success response. Storage's own error passes: it comes with 200 where storage
    /// began to answer before the end of the work.
    #[cfg(feature = "opendal")]
    pub fn check_body(self, status: StatusCode, body: &str) -> Result<(), NotAcknowledged> {
        let says = |name| {
            let text = super::redact::xml_element(body, name)
                .unwrap_or_default()
                .replace("&quot;", "");
            !text.trim_matches('"').is_empty()
        };
        let what = match self {
            Self::CreateMultipart if !says("UploadId") => "no upload id",
            Self::CompleteMultipart if !says("ETag") && !says("Code") => "no entity tag",
            Self::PutObject
            | Self::UploadPart
            | Self::CreateMultipart
            | Self::CompleteMultipart
            | Self::Delete => {
                return Ok(());
            }
        };
        match status.is_success() {
            true => Err(NotAcknowledged {
                status: status.as_u16(),
                what,
            }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_requests_are_told_apart() {
        for (method, query, expected) in [
            (Method::PUT, None, Some(Write::PutObject)),
            (Method::PUT, Some("x-id=PutObject"), Some(Write::PutObject)),
            (
                Method::PUT,
                Some("partNumber=1&uploadId=u"),
                Some(Write::UploadPart),
            ),
            (Method::POST, Some("uploads"), Some(Write::CreateMultipart)),
            (
                Method::POST,
                Some("uploads=&x-id=C"),
                Some(Write::CreateMultipart),
            ),
            (
                Method::POST,
                Some("uploadId=uploads"),
                Some(Write::CompleteMultipart),
            ),
            (Method::DELETE, Some("uploadId=u"), Some(Write::Delete)),
            (Method::GET, None, None),
            (Method::HEAD, None, None),
        ] {
            assert_eq!(Write::of(&method, query), expected, "{method} {query:?}");
        }
    }
}
