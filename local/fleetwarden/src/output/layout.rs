//! How wide a text for people may be.

use clap::Args;
use std::num::NonZeroU16;

/// Columns where there is no terminal that says how wide it is.
const USUAL: u16 = 80;
/// Fewer columns than this hold no table.
const LEAST: u16 = 40;

/// The option for tables that are wider than the terminal.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Width {
    /// Show all columns of a table, each as wide as it needs
    #[arg(long, global = true)]
    wide: bool,
}

impl Width {
    /// The layout for standard output.
    pub(crate) fn layout(self) -> Layout {
        if self.wide { Layout::Wide } else { Layout::of_terminal() }
    }
}

/// The width of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// At most so many columns.
    Columns(u16),
    /// As wide as it needs.
    Wide,
}

impl Layout {
    /// That of the terminal: `COLUMNS`, as shells and scripts set it, or what the terminal says.
    pub(crate) fn of_terminal() -> Self {
        let given = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<NonZeroU16>().ok());
        let of_terminal = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
        let columns = given.map(NonZeroU16::get).or_else(of_terminal).unwrap_or(USUAL);
        Self::Columns(columns.max(LEAST))
    }

    /// Columns that there are.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Columns(columns) => columns.into(),
            Self::Wide => usize::MAX,
        }
    }

    /// The columns of running text, which is hard to read in long lines.
    pub(crate) fn of_text(self) -> usize {
        self.columns().min(100)
    }
}
