//! What the tests of the functions have in common: a local service to try commands on, bad input of each kind, and tests of
//! every command by one table.

mod bad;
mod operations;
mod persons;
mod services;

pub use self::bad::Bad;
pub use self::bad::bad_inputs;
pub use self::bad::is_of;
pub use self::bad::merged;
pub use self::bad::put;
pub use self::operations::Fixture;
pub use self::operations::Row;
pub use self::operations::Shown;
pub use self::operations::Table;
pub use self::operations::changes;
pub use self::operations::errors_keep_their_names;
pub use self::operations::named;
pub use self::operations::reads;
pub use self::operations::without_command;
pub use self::persons::say as person_says;
pub use self::services::AnswerInstead;
pub use self::services::LocalServices;
