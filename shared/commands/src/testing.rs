//! What the tests of the functions have in common: bad input of each kind, and a service to try it on.

mod bad;
mod desk;

pub use self::bad::Bad;
pub use self::bad::bad_inputs;
pub use self::bad::is_of;
pub use self::bad::merged;
pub use self::bad::put;
pub use self::desk::AnswerInstead;
pub use self::desk::Desk;
