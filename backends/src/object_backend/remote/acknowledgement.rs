//! What counts as storage's word that it has done what a writing request asked.
//!
//! A proxy in between may answer in storage's place, with 200 and a page of its own. An upload is
//! acknowledged by an entity tag, one in parts by the tag in its XML; anything else says nothing,
//! and the object itself has to be looked at.

use http::header::ETAG;
use http::{HeaderMap, Method, StatusCode};

use super::redact::element;
use super::response::headers::{etag, is_html};

/// A success that is not storage's, or does not say what storage has done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} in place of storage's word: {what}")]
pub struct NotAcknowledged {
    status: u16,
    what: &'static str,
}

/// A request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    Object,
    Part,
    BeginParts,
    CompleteParts,
    /// Deletes or aborts.
    Remove,
}

impl Write {
    /// `None`: it only looks.
    pub fn of(method: &Method, query: Option<&str>) -> Option<Self> {
        let named = |name: &str| {
            let mut pairs = query.unwrap_or_default().split('&');
            pairs.any(|pair| pair.split('=').next() == Some(name))
        };
        match *method {
            Method::PUT if named("partNumber") => Some(Self::Part),
            Method::PUT => Some(Self::Object),
            Method::POST if named("uploads") => Some(Self::BeginParts),
            Method::POST if named("uploadId") => Some(Self::CompleteParts),
            Method::DELETE => Some(Self::Remove),
            _ => None,
        }
    }

    /// Judges the head of a success; other answers pass.
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
            Self::Object | Self::Part if etag(headers).is_none() => no("no entity tag"),
            Self::Object | Self::Part | Self::BeginParts | Self::CompleteParts | Self::Remove => {
                Ok(())
            }
        }
    }

    /// Leaves of an acknowledgement what says it: a header that nobody needs and a client library
    /// cannot read would make a failure of it.
    pub fn strip(self, status: StatusCode, headers: &mut HeaderMap) {
        if !status.is_success() {
            return;
        }
        match self {
            Self::Object | Self::Part | Self::CompleteParts => {
                let tag = headers.remove(ETAG);
                headers.clear();
                headers.extend(tag.map(|tag| (ETAG, tag)));
            }
            Self::BeginParts | Self::Remove => headers.clear(),
        }
    }

    /// Judges what a success says; an error of storage's passes, which may come with 200 where
    /// storage begins to answer before it knows how it ends.
    #[cfg(feature = "opendal")]
    pub fn check_body(self, status: StatusCode, body: &str) -> Result<(), NotAcknowledged> {
        let says = |name| {
            let text = element(body, name)
                .unwrap_or_default()
                .replace("&quot;", "");
            !text.trim_matches('"').is_empty()
        };
        let what = match self {
            Self::BeginParts if !says("UploadId") => "no name of an upload",
            Self::CompleteParts if !says("ETag") && !says("Code") => "no entity tag",
            Self::Object | Self::Part | Self::BeginParts | Self::CompleteParts | Self::Remove => {
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
    fn writes_are_told_apart() {
        for (method, query, expected) in [
            (Method::PUT, None, Some(Write::Object)),
            (Method::PUT, Some("x-id=PutObject"), Some(Write::Object)),
            (
                Method::PUT,
                Some("partNumber=1&uploadId=u"),
                Some(Write::Part),
            ),
            (Method::POST, Some("uploads"), Some(Write::BeginParts)),
            (
                Method::POST,
                Some("uploads=&x-id=C"),
                Some(Write::BeginParts),
            ),
            (
                Method::POST,
                Some("uploadId=uploads"),
                Some(Write::CompleteParts),
            ),
            (Method::DELETE, Some("uploadId=u"), Some(Write::Remove)),
            (Method::GET, None, None),
            (Method::HEAD, None, None),
        ] {
            assert_eq!(Write::of(&method, query), expected, "{method} {query:?}");
        }
    }
}
