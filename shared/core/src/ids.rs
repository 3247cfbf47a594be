//! Names and identities that come from outside. They become part of keys, paths and names here, so each is a type whose
//! values are valid: what the service would never have given out is refused where it is read, with the path of its member.

mod account;
mod alarm;
pub mod check;
mod id;
pub mod names;
mod region;
mod task;
mod thing;

pub use account::AccountId;
pub use alarm::AlarmId;
pub use alarm::ViolationId;
pub use check::CheckName;
pub use id::InvalidId;
pub(crate) use id::valid;
pub use region::Region;
pub use task::AuditTaskId;
pub use task::MitigationTaskId;
pub use thing::ThingName;
