//! The names of things, and of what is named as they are.

use super::id::id;
use super::names::is_thing_name;

id! {
    /// A thing's name, or that of a security profile or a behavior: `[a-zA-Z0-9:_-]{1,128}` (`ThingName`).
    ThingName, is_thing_name, "not a name that the service allows"
}
