//! The name of a region.

use super::id::id;
use super::names::is_region;

id! {
    /// A region, as `us-gov-west-1`: `[a-z0-9-]{1,32}`.
    Region, is_region, "not a region"
}
