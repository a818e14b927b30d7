//! Query strings of the control plane.

use crate::error::GatewayError;

/// Names and values, without those that are empty. A name that is not `known` is a 400 that says
/// which there are: a mistyped filter must not match everything.
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
        if !value.is_empty() {
            parameters.push((name.into_owned(), value.into_owned()));
        }
    }
    Ok(parameters)
}

/// What to say of a parameter that has another value than it may have.
pub fn bad(name: &str, expected: &str) -> GatewayError {
    GatewayError::BadRequest(format!("{name}: must be {expected}"))
}

pub const DEFAULT_LIMIT: usize = 100;

/// How many rows a page may have.
pub fn limit(value: &str) -> Result<usize, GatewayError> {
    let limit = value
        .parse()
        .ok()
        .filter(|limit| (1..=1_000).contains(limit));
    limit.ok_or_else(|| bad("limit", "1 to 1000"))
}
