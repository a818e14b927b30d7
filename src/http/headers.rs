//! Strict readers of request headers: refuse duplicates and characters beyond visible ASCII.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::GatewayError;

/// The value of a header that a request may have only once.
pub fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, GatewayError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(GatewayError::BadRequest(format!(
            "the header {name} may be given only once"
        )));
    }
    text(value, name).map(Some)
}

/// The value of a list header; several lines are joined (RFC 9110 §5.3).
pub fn list(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, GatewayError> {
    let mut joined: Option<String> = None;
    for value in headers.get_all(name) {
        let text = text(value, name)?;
        match &mut joined {
            None => joined = Some(text.to_owned()),
            Some(joined) => {
                joined.push_str(", ");
                joined.push_str(text);
            }
        }
    }
    Ok(joined)
}

fn text<'a>(value: &'a HeaderValue, name: &HeaderName) -> Result<&'a str, GatewayError> {
    value.to_str().map_err(|_| {
        GatewayError::BadRequest(format!(
            "the header {name} has characters other than visible ASCII"
        ))
    })
}
