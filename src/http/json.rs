//! Reads JSON request bodies strictly: limited size, no duplicate keys.
//!
//! [`serde_json::Value`] keeps the last of several values (RFC 8259 §4 leaves it open), so that a filter
//! in front of the gateway may have checked another one.

use std::fmt;

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::server::UploadIdleTimeout;
use crate::error::GatewayError;

/// Reads a body of at most `limit` bytes as a JSON object without duplicate keys at any depth.
pub async fn object(body: Body, limit: usize) -> Result<Map<String, Value>, GatewayError> {
    let too_large = || GatewayError::SizeExceeded(format!("the body may have {limit} bytes"));
    if http_body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(too_large());
    }
    let bytes = match Limited::new(body, limit).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => return Err(broken_body(error.as_ref())),
    };
    match serde_json::from_slice(&bytes) {
        Ok(UniqueKeys(Value::Object(object))) => Ok(object),
        Ok(UniqueKeys(_)) => Err(GatewayError::BadRequest(
            "the body must be a JSON object".into(),
        )),
        Err(error) => Err(GatewayError::BadRequest(format!(
            "invalid JSON body: {error}"
        ))),
    }
}

/// The error for a body that broke off.
pub fn broken_body(error: &(dyn std::error::Error + 'static)) -> GatewayError {
    if UploadIdleTimeout::caused(error) {
        GatewayError::RequestTimeout
    } else {
        GatewayError::BadRequest("the body did not arrive whole".into())
    }
}

/// A value in which no object has a key twice, at any depth. The error names the key. Keys are compared
/// after their escapes are resolved.
struct UniqueKeys(Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(UniqueKeysVisitor).map(Self)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    /// `1.0` is the integer 1, as in JSON Schema. Above 2^53 a float can stand for several integers.
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
            return Ok(Value::Number((value as i64).into()));
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(UniqueKeys(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if values.contains_key(&key) {
                let key = key.escape_debug();
                return Err(A::Error::custom(format!("the key `{key}` is given twice")));
            }
            let UniqueKeys(value) = object.next_value()?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        let read = serde_json::from_str::<UniqueKeys>(text);
        read.map(|UniqueKeys(value)| value)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn documents_without_duplicates_are_read_as_serde_json_reads_them() {
        for text in [
            "null",
            "[true, -1, 18446744073709551615, 1.5e-3, \"a\\n\\u00fc\", {}]",
            r#"{"a": {"a": [{"a": null}, {"a": 1}]}, "A": 1}"#,
        ] {
            let expected: Value = serde_json::from_str(text).expect(text);
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["{", "[1,]", "{} {}", "1e999", "\"\\ud800\""] {
            assert!(read(text).is_err(), "{text}");
        }
        // As deep as serde_json goes, and no deeper.
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(&deep(127)).is_ok());
        assert!(read(&deep(100_000)).is_err());
    }

    #[test]
    fn whole_numbers_are_integers_in_every_notation() {
        for (text, number) in [
            ("1.0", 1),
            ("-2e3", -2000),
            ("-0.0", 0),
            ("2020496013186279.0", 2_020_496_013_186_279_i64),
        ] {
            assert_eq!(read(text), Ok(number.into()), "{text}");
        }
        for text in ["1.5", "1e300", "9007199254740992.0"] {
            let read = read(text).expect(text);
            assert!(read.as_i64().is_none(), "{text}");
        }
    }

    #[test]
    fn a_duplicate_key_is_named() {
        for text in [
            r#"{"key": 1, "key": 1}"#,
            r#"{"key": null, "key": 1}"#,
            r#"{"key": 1, "k\u0065y": 2}"#,
            r#"{"a": {"b": [{"key": 1, "c": 0, "key": 2}]}}"#,
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains("`key` is given twice"), "{error}");
        }
    }
}
