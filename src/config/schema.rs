//! Finds the keys of the configuration structs and the shape of their values, by reflection.
//!
//! The deserializer here has no data: it follows a path of keys through a type and records what the type
//! expects at its end. So the environment's reader knows that a password is text even if it looks like a
//! number, and no second list of keys is needed.

use std::cell::Cell;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The shape of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A group with these keys.
    Struct(&'static [&'static str]),
    /// A group with any keys, all of the same shape.
    Map,
    List,
    Text,
    Number,
    Flag,
    /// More than one of these.
    Any,
}

/// The shape of `T` at `path`; entries of maps and lists have any name or index.
pub(super) fn shape<'de, T: Deserialize<'de>>(path: &[&str]) -> Option<Shape> {
    let found = Cell::new(None);
    let tracer = Tracer {
        path,
        found: &found,
    };
    // Always ends in an error; the result is in `found`.
    let _ = T::deserialize(tracer);
    found.get()
}

#[derive(Clone, Copy)]
struct Tracer<'p> {
    path: &'p [&'p str],
    found: &'p Cell<Option<Shape>>,
}

impl Tracer<'_> {
    fn note<V>(self, shape: Shape) -> Result<V, Error> {
        if self.path.is_empty() {
            self.found.set(Some(shape));
        }
        Err(Error::custom("traced"))
    }

    fn inner(self) -> Option<(String, Self)> {
        let (first, path) = self.path.split_first()?;
        Some(((*first).to_owned(), Self { path, ..self }))
    }
}

impl<'de> IntoDeserializer<'de, Error> for Tracer<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! note {
    ($shape:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            self.note(Shape::$shape)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Error;

    note!(Text: deserialize_str deserialize_string deserialize_identifier);
    note!(Flag: deserialize_bool);
    note!(Number: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i64);
    note!(Any: deserialize_any);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(Shape::Text)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.inner() {
            Some((_, inner)) => visitor.visit_seq(SeqDeserializer::new([inner].into_iter())),
            None => self.note(Shape::List),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.inner() {
            Some(entry) => visitor.visit_map(MapDeserializer::new([entry].into_iter())),
            None => self.note(Shape::Map),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.inner() {
            Some(entry) => visitor.visit_map(MapDeserializer::new([entry].into_iter())),
            None => self.note(Shape::Struct(fields)),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        ignored_any
    }
}

/// Every key of `T` below `path` that has no further keys; `*` stands for the names of a map.
#[cfg(test)]
pub(super) fn leaves<'de, T: Deserialize<'de>>(path: &[&'static str]) -> Vec<Vec<&'static str>> {
    let below = |name| {
        let mut path = path.to_vec();
        path.push(name);
        path
    };
    match shape::<T>(path) {
        Some(Shape::Struct(fields)) => fields
            .iter()
            .flat_map(|field| leaves::<T>(&below(field)))
            .collect(),
        Some(Shape::Map) => leaves::<T>(&below("*")),
        Some(Shape::List | Shape::Text | Shape::Number | Shape::Flag | Shape::Any) => {
            vec![path.to_vec()]
        }
        None => panic!("no shape at {path:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn shapes_follow_the_structs() {
        let at = |path: &[&str]| shape::<Config>(path);
        assert_eq!(at(&["server", "listen"]), Some(Shape::Text));
        assert_eq!(at(&["server", "trusted_proxies"]), Some(Shape::List));
        assert_eq!(at(&["server", "trusted_proxies", "0"]), Some(Shape::Text));
        assert_eq!(at(&["redis", "password"]), Some(Shape::Text));
        assert_eq!(at(&["redis", "db"]), Some(Shape::Number));
        assert_eq!(at(&["redis", "addr"]), Some(Shape::Any));
        assert_eq!(at(&["token_store", "kind"]), Some(Shape::Text));
        assert_eq!(at(&["buckets"]), Some(Shape::Map));
        assert_eq!(
            at(&["buckets", "any", "force_path_style"]),
            Some(Shape::Flag)
        );
        assert_eq!(at(&["callback", "retry_seconds", "0"]), Some(Shape::Number));
        assert_eq!(at(&["server", "port"]), None);
        assert!(
            matches!(at(&["limits"]), Some(Shape::Struct(keys)) if keys.contains(&"idle_seconds"))
        );
        assert_eq!(leaves::<Config>(&["sled"]), [["sled", "path"]]);
    }
}
