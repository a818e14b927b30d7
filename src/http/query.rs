//! Strict query strings of the control plane.

use std::borrow::Cow;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::Method;

use crate::error::GatewayError;

/// Middleware: refuses duplicate parameters, and empty ones in calls that change something. A forgotten
/// shell variable must not widen what is revoked.
pub async fn strict(request: Request, next: Next) -> Result<Response, GatewayError> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    check(request.uri().query().unwrap_or_default(), changes)?;
    Ok(next.run(request).await)
}

fn check(query: &str, changes: bool) -> Result<(), GatewayError> {
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let fault = if seen.contains(&name) {
            "given twice"
        } else if changes && value.is_empty() {
            "empty: leave it out or give it a value"
        } else {
            seen.push(name);
            continue;
        };
        let name = name.escape_debug();
        return Err(GatewayError::BadRequest(format!(
            "the parameter `{name}` is {fault}"
        )));
    }
    Ok(())
}

/// Parameters that are numbers: an empty one is invalid, where an empty text means not given.
const NUMBERS: [&str; 2] = ["limit", "since"];

/// Names and values of the parameters that are given. A name that is not `known` is a 400 that lists the
/// known names: a mistyped filter must not match everything.
pub fn parameters(
    query: Option<&str>,
    known: &[&str],
) -> Result<Vec<(String, String)>, GatewayError> {
    let mut parameters = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !known.contains(&name.as_ref()) {
            let (name, known) = (name.escape_debug(), known.join(", "));
            return Err(GatewayError::BadRequest(format!(
                "unknown parameter `{name}`; known are {known}"
            )));
        }
        if !value.is_empty() || NUMBERS.contains(&name.as_ref()) {
            parameters.push((name.into_owned(), value.into_owned()));
        }
    }
    Ok(parameters)
}

/// The error for a parameter with an invalid value.
pub fn invalid(name: &str, expected: &str) -> GatewayError {
    GatewayError::BadRequest(format!("{name}: must be {expected}"))
}

pub const DEFAULT_PAGE_ROWS: usize = 100;

/// Reads the number of rows of a page.
pub fn limit(value: &str) -> Result<usize, GatewayError> {
    let limit = value
        .parse()
        .ok()
        .filter(|limit| (1..=1_000).contains(limit));
    limit.ok_or_else(|| invalid("limit", "1 to 1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_parameters_are_found_in_every_spelling() {
        for query in ["", "&&", "a=1&b=1", "a=1&A=2", "a=&b", "a=%26a=2"] {
            assert!(check(query, false).is_ok(), "{query}");
        }
        for query in ["a=1&a=1", "a=1&%61=2", "a+b=1&a%20b=2", "a&a", "a=&a=1"] {
            assert!(check(query, false).is_err(), "{query}");
        }
    }
}
