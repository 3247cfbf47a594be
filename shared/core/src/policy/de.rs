//! From nodes to the types of the file, by serde, with the place of whatever is wrong.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::IntoDeserializer as _;
use serde::de::Visitor;

use super::diagnostic::Diagnostic;
use super::diagnostic::Place;
use super::node::Node;
use super::node::Value;
use crate::nearest::did_you_mean;

/// The name by which [`Spanned`] asks for its place.
const SPANNED: &str = "$Spanned";

/// A value with its place in the file.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Of<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a file")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let mut part = || parts.next_element::<u32>().map(Option::unwrap_or_default);
                let place = Place { line: part()?, column: part()? };
                let value = parts.next_element()?.ok_or_else(|| de::Error::missing_field("value"))?;
                Ok(Spanned { place, value })
            }
        }
        deserializer.deserialize_tuple_struct(SPANNED, 3, Of(std::marker::PhantomData))
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// What is wrong, and where as soon as that is known.
#[derive(Debug)]
pub(super) struct Error {
    place: Option<Place>,
    what: String,
}

impl Error {
    fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self::error(error.place.unwrap_or_default(), error.what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self { place: None, what: what.to_string() }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let near = did_you_mean(field, expected.iter().copied());
        Self::custom(format!("unknown key '{field}'{near} (allowed here: {})", expected.join(", ")))
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        let near = did_you_mean(word, expected.iter().copied());
        Self::custom(format!("'{word}' is not allowed here{near} (allowed: {})", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("the key '{field}' is missing"))
    }
}

impl Node<'_> {
    fn wanted(&self, wanted: &str) -> Error {
        let is = match &self.value {
            _ if self.is_nothing() => "nothing".to_owned(),
            Value::Text { text, .. } => format!("'{text}'"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        };
        Error { place: Some(self.place), what: format!("{wanted} is expected here, not {is}") }
    }

    fn plain(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, plain: true } => Some(text),
            _ => None,
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.plain().and_then(|text| text.parse::<$type>().ok()) {
                Some(number) => visitor.$visit(number).map_err(|e: Error| e.at(self.place)),
                None => Err(self.wanted("a whole number")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text { text, .. } => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter())),
            Value::Map(members) => visitor.visit_map(Members { rest: members.iter(), value: None }),
        }
        .map_err(|e: Error| e.at(self.place))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.plain() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            _ => Err(self.wanted("true or false")),
        }
    }

    whole_numbers! {
        deserialize_u32 visit_u32 u32;
        deserialize_i64 visit_i64 i64;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text { .. } if !self.is_nothing() => self.deserialize_any(visitor),
            _ => Err(self.wanted("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => Err(self.wanted("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Map(_) => self.deserialize_any(visitor),
            _ if self.is_nothing() => {
                let nothing = Members { rest: [].iter(), value: None };
                visitor.visit_map(nothing).map_err(|e: Error| e.at(self.place))
            }
            _ => Err(self.wanted("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            SPANNED => visitor.visit_seq(Placed { node: self, next: 0 }),
            _ => self.deserialize_seq(visitor),
        }
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
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Text { text, .. } => {
                visitor.visit_enum((&**text).into_deserializer()).map_err(|e: Error| e.at(self.place))
            }
            _ => Err(self.wanted("one word")),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct tuple ignored_any
    }
}

struct Items<'de, 't>(std::slice::Iter<'de, Node<'t>>);

impl<'de> de::SeqAccess<'de> for Items<'de, '_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

struct Members<'de, 't> {
    rest: std::slice::Iter<'de, (Node<'t>, Node<'t>)>,
    value: Option<&'de Node<'t>>,
}

impl<'de> de::MapAccess<'de> for Members<'de, '_> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(de::Error::custom("a key without a value")),
        }
    }
}

/// A node as [`Spanned`] wants it: line, column, value.
struct Placed<'de, 't> {
    node: &'de Node<'t>,
    next: u8,
}

impl<'de> de::SeqAccess<'de> for Placed<'de, '_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(self.node.place.line.into_deserializer()).map(Some),
            2 => seed.deserialize(self.node.place.column.into_deserializer()).map(Some),
            _ => seed.deserialize(self.node).map(Some),
        }
    }
}
