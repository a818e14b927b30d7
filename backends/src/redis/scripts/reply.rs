//! The reply of a script, taken apart.

use redis::{FromRedisValue, ParsingError, Value};

use crate::error::Result;
use crate::redis::error;

/// A reply, or an item of one.
#[derive(Debug)]
pub struct Reply {
    operation: &'static str,
    value: Value,
}

/// The items of a list, in order.
pub struct Items {
    operation: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Ok(Self {
            operation: "redis",
            value,
        })
    }
}

impl Reply {
    /// `operation` is named in errors.
    pub fn of(mut self, operation: &'static str) -> Self {
        self.operation = operation;
        self
    }

    /// The reply is a list whose last item is `1`.
    pub fn ends_with_one(&self) -> bool {
        let last = match &self.value {
            Value::Array(items) => items.last(),
            _ => None,
        };
        matches!(last, Some(Value::Int(1)))
    }

    pub fn text(self) -> Result<String> {
        match self.value {
            Value::BulkString(bytes) => String::from_utf8(bytes)
                .map_err(|e| error::corrupt(self.operation, format!("not text: {e}"))),
            Value::SimpleString(text) => Ok(text),
            Value::Int(number) => Ok(number.to_string()),
            other => Err(error::corrupt(
                self.operation,
                format!("not text: {other:?}"),
            )),
        }
    }

    pub fn number(self) -> Result<u64> {
        let operation = self.operation;
        let text = self.text()?;
        text.parse()
            .map_err(|_| error::corrupt(operation, format!("not a number: {text:?}")))
    }

    pub fn items(self) -> Result<Items> {
        match self.value {
            Value::Array(values) => Ok(Items {
                operation: self.operation,
                values: values.into_iter(),
            }),
            other => Err(error::corrupt(
                self.operation,
                format!("not a list: {other:?}"),
            )),
        }
    }
}

impl Iterator for Items {
    type Item = Reply;

    fn next(&mut self) -> Option<Reply> {
        self.values.next().map(|value| Reply {
            operation: self.operation,
            value,
        })
    }
}

impl Items {
    pub fn is_empty(&self) -> bool {
        self.values.as_slice().is_empty()
    }

    /// The next item; an error where there is none.
    pub fn item(&mut self) -> Result<Reply> {
        let operation = self.operation;
        self.next()
            .ok_or_else(|| error::corrupt(operation, "the reply is too short"))
    }

    pub fn text(&mut self) -> Result<String> {
        self.item()?.text()
    }

    pub fn number(&mut self) -> Result<u64> {
        self.item()?.number()
    }

    /// A number; an empty text means `None`.
    pub fn optional(&mut self) -> Result<Option<u64>> {
        let operation = self.operation;
        match self.text()?.as_str() {
            "" => Ok(None),
            text => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(error::corrupt(operation, format!("not a number: {text:?}"))),
            },
        }
    }
}
