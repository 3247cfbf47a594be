//! What all ids have in common: a value that exists is valid.

use std::str::FromStr;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;

use crate::untrusted::shown;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is {not}")]
pub struct InvalidId {
    given: String,
    not: &'static str,
}

impl InvalidId {
    pub(super) fn new(given: &str, not: &'static str) -> Self {
        Self { given: shown(given), not }
    }
}

/// Reads a text that has to be an id, for a member that is a text in what the message becomes.
///
/// # Errors
/// If it is none.
pub(crate) fn valid<'de, I, D>(deserializer: D) -> Result<String, D::Error>
where
    I: FromStr<Err = InvalidId>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse::<I>().map_err(D::Error::custom)?;
    Ok(text)
}

/// Makes the type of an id: a text that is read from JSON, or parsed, only if it has its pattern. Its JSON is the text.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $is:path, $not:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as a text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $is(text) { Ok(Self(text.to_owned())) } else { Err(Self::Err::new(text, $not)) }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        // Ids are read where texts are: in keys, requests and messages.
        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl $crate::untrusted::Piece for $name {
            fn text(&self) -> $crate::untrusted::Text {
                self.0.text()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == **other
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<$name> for str {
            fn eq(&self, other: &$name) -> bool {
                *self == *other.0
            }
        }

        impl PartialEq<$name> for &str {
            fn eq(&self, other: &$name) -> bool {
                **self == *other.0
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl From<$name> for serde_json::Value {
            fn from(id: $name) -> Self {
                Self::String(id.0)
            }
        }

        impl From<&$name> for String {
            fn from(id: &$name) -> Self {
                id.0.clone()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}
pub(super) use id;
