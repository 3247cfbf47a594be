//! The exit codes of every command. docs/commands.md has the same table for people.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// It failed, or what it checked is not as it should be: a policy with errors, a case that fails, a function that
    /// answers with an error.
    Failed,
    /// The command line is wrong: no such command, option or value. Nothing was done.
    Usage,
    /// The result is there and incomplete: a part of the archive could not be read.
    Damaged,
    /// A signal stopped it, by its number.
    Stopped(u8),
}

impl Exit {
    /// The code, as a shell has it in `$?`.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Damaged => 3,
            // What a shell reports of a process that a signal ended.
            Self::Stopped(signal) => 128 + signal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_each_code() {
        let documented = include_str!("../../../docs/commands.md");
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Damaged];
        let codes = all.map(Exit::code).map(|code| code.to_string());
        let signals = [2, 15, 1].map(|signal| Exit::Stopped(signal).code().to_string()).join(", ");
        for code in codes.into_iter().chain([signals]) {
            assert!(documented.contains(&format!("\n| {code} | ")), "{code}");
        }
    }
}
