//! Tables for people: as wide as the terminal and no wider, without lines, so that a row can be copied.

use super::layout::Layout;
use super::painted::{Painted, STRONG, of_state};
use super::wrap::{lines, width};
use anstyle::Style;
use fleetwarden_core::untrusted::visible_lines;

/// Between two columns.
const GAP: usize = 2;
/// Columns of text are not made narrower than these, one after the other, until the table fits.
const NARROWEST: [usize; 3] = [16, 10, 4];

/// Rows of cells below the titles of their columns.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    has_titles: bool,
}

#[derive(Clone, Debug)]
struct Column {
    title: String,
    kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, which may be broken.
    Text,
    /// A number, at the right.
    Number,
    /// A word, a time or an id, which is broken only on a terminal that is too narrow for anything else.
    Word,
}

/// A text in a table. What of it is not seen is escaped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A state or a severity, in its color.
    pub(crate) fn state(word: &str) -> Self {
        Self { text: visible_lines(word).into_owned(), style: of_state(word) }
    }

    /// A text in a style.
    pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { style, ..Self::from(text) }
    }

    /// Whether there is nothing to see.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: visible_lines(text.as_ref()).into_owned(), style: Style::new() }
    }
}

impl Table {
    /// A table whose columns have these titles, told apart by capitals where there is no bold.
    pub(crate) fn new<T: AsRef<str>>(titles: impl IntoIterator<Item = T>) -> Self {
        Self::labeled(titles.into_iter().map(|title| title.as_ref().to_uppercase()))
    }

    /// A table whose columns have these titles, as they are.
    pub(crate) fn labeled<T: AsRef<str>>(titles: impl IntoIterator<Item = T>) -> Self {
        let title = |title: T| visible_lines(title.as_ref()).into_owned();
        let columns = titles.into_iter().map(|text| Column { title: title(text), kind: Kind::Text });
        Self { columns: columns.collect(), rows: Vec::new(), has_titles: true }
    }

    /// A table of so many columns without titles.
    pub(crate) fn untitled(columns: usize) -> Self {
        Self { has_titles: false, ..Self::labeled(vec![""; columns]) }
    }

    /// The same with columns that hold this, by their places.
    pub(crate) fn with(mut self, kind: Kind, places: impl IntoIterator<Item = usize>) -> Self {
        for place in places {
            if let Some(column) = self.columns.get_mut(place) {
                column.kind = kind;
            }
        }
        self
    }

    /// Adds a row.
    pub(crate) fn row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines of it, none with spaces at its end. Where there is no room for its columns of numbers, they become one
    /// of text.
    pub(crate) fn render(&self, layout: Layout) -> Painted {
        if !self.fits(layout) && self.columns.iter().filter(|column| column.kind == Kind::Number).count() > 1
        {
            return self.with_counts().render(layout);
        }
        let widths = self.widths(layout);
        let mut all = Vec::new();
        if self.has_titles {
            let title = |column: &Column| Cell { text: column.title.clone(), style: STRONG };
            let titles: Vec<Cell> = self.columns.iter().map(title).collect();
            all.push(self.line(&titles, &widths));
        }
        all.extend(self.rows.iter().map(|row| self.line(row, &widths)));
        let mut out = Painted::default();
        for (at, line) in all.iter().enumerate() {
            if at > 0 {
                out.push("\n");
            }
            out.append(line);
        }
        out
    }

    /// Whether numbers and words are whole, and texts broken where it can be read.
    fn fits(&self, layout: Layout) -> bool {
        let [narrowest, ..] = NARROWEST;
        let least = |(place, column): (usize, &Column)| match column.kind {
            Kind::Text => self.needs(place).min(narrowest),
            Kind::Number | Kind::Word => self.needs(place),
        };
        self.columns.iter().enumerate().map(least).sum::<usize>() <= self.room(layout)
    }

    /// The same with one column in place of those that hold numbers: `12 suppress, 3 mitigate`.
    fn with_counts(&self) -> Self {
        let is_number = |column: &Column| column.kind == Kind::Number;
        let mut columns: Vec<Column> =
            self.columns.iter().filter(|column| !is_number(column)).cloned().collect();
        columns.push(Column { title: "COUNTS".to_owned(), kind: Kind::Text });
        let count = |(column, cell): (&Column, &Cell)| {
            let is_some = is_number(column) && !cell.is_empty() && cell.text != "0";
            is_some.then(|| format!("{} {}", cell.text, column.title.to_lowercase()))
        };
        let row = |row: &Vec<Cell>| {
            let cells = || self.columns.iter().zip(row);
            let counts = cells().filter_map(count).collect::<Vec<_>>().join(", ");
            let others = cells().filter(|(column, _)| !is_number(column)).map(|(_, cell)| cell.clone());
            others.chain([counts.into()]).collect()
        };
        Self { columns, rows: self.rows.iter().map(row).collect(), has_titles: self.has_titles }
    }

    /// The columns of a terminal that are left for texts.
    fn room(&self, layout: Layout) -> usize {
        layout.columns().saturating_sub(GAP * self.columns.len().saturating_sub(1))
    }

    /// A row, of as many lines as its highest cell has.
    fn line(&self, cells: &[Cell], widths: &[usize]) -> Painted {
        let wrapped: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, width)| lines(&cell.text, *width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or_default();
        let mut out = Painted::default();
        for at in 0..height {
            if at > 0 {
                out.push("\n");
            }
            // Spaces come before the next text, so that none stands at the end.
            let mut spaces = 0;
            for (((cell, parts), column), wide) in cells.iter().zip(&wrapped).zip(&self.columns).zip(widths) {
                let part = parts.get(at).map_or("", String::as_str);
                let rest = wide.saturating_sub(width(part));
                let before = if column.kind == Kind::Number { rest } else { 0 };
                if !part.is_empty() {
                    out.push(" ".repeat(spaces + before)).push_styled(cell.style, part);
                    spaces = 0;
                }
                spaces += if part.is_empty() { *wide } else { rest - before } + GAP;
            }
        }
        out
    }

    /// The width of each column: what it needs, and where that is too much, less of the widest.
    fn widths(&self, layout: Layout) -> Vec<usize> {
        let room = self.room(layout);
        let places = 0..self.columns.len();
        let with_titles: Vec<usize> =
            places.clone().map(|place| self.needs(place).max(width(self.title(place)))).collect();
        if with_titles.iter().sum::<usize>() <= room {
            return with_titles;
        }
        let mut widths: Vec<usize> = places.map(|place| self.needs(place)).collect();
        let texts = NARROWEST.map(|narrowest| (narrowest, Kind::Text));
        for (narrowest, shrinking) in texts.into_iter().chain([(4, Kind::Word)]) {
            let least = |place: usize| match self.columns.get(place) {
                Some(Column { kind, .. }) if *kind == shrinking => narrowest,
                _ => usize::MAX,
            };
            while widths.iter().sum::<usize>() > room {
                let shrinks = widths.iter_mut().enumerate().filter(|(place, wide)| **wide > least(*place));
                let Some((_, widest)) = shrinks.max_by_key(|(_, wide)| **wide) else { break };
                *widest -= 1;
            }
        }
        widths
    }

    fn title(&self, place: usize) -> &str {
        self.columns.get(place).filter(|_| self.has_titles).map_or("", |column| &column.title)
    }

    /// The columns that the texts of a column need, and the words of its title.
    fn needs(&self, place: usize) -> usize {
        let widest = |text: &str| text.split('\n').map(width).max().unwrap_or_default();
        let cells = self.rows.iter().filter_map(|row| row.get(place)).map(|cell| widest(&cell.text));
        let title = self.title(place).split(' ').map(width).max();
        cells.max().max(title).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "9449c7f3-93cf-0c55-a675-ddf1c83732d8";

    fn table() -> Table {
        let mut table = Table::new(["state", "check", "finding id", "of how many"]);
        table = table.with(Kind::Word, [0]).with(Kind::Number, [3]);
        let states = ["FAILED", "COMPLETED", "-"];
        for (state, count) in states.into_iter().zip([7, 12_345, 0]) {
            table.row([
                Cell::state(state),
                "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK".into(),
                ID.into(),
                count.to_string().into(),
            ]);
        }
        table.row(["", "泵 of the north-western plant", "", "1"]);
        table
    }

    #[test]
    fn a_table_is_as_wide_as_it_may_be() {
        let shown = [40, 60, 80, 120].map(|columns| {
            let text = table().render(Layout::Columns(columns)).plain();
            assert!(text.lines().all(|line| width(line) <= columns.into()), "{columns}\n{text}");
            text
        });
        insta::assert_snapshot!(shown.join("\n\n"));
        let wide = table().render(Layout::Wide).plain();
        assert!(wide.contains(&format!("REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK  {ID}")), "{wide}");
    }

    #[test]
    fn columns_of_numbers_become_one_where_there_is_no_room() {
        let titles = ["audit", "findings", "already suppressed", "to mitigate", "reported", "needs a lookup"];
        let mut table = Table::new(titles).with(Kind::Number, 1..6);
        table.row(["2026-11-22 06:00 daily", "24", "2", "0", "12", "10"]);
        table.row(["all", "24", "2", "0", "12", ""]);
        let shown = [60, 80].map(|columns| table.render(Layout::Columns(columns)).plain());
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn only_states_and_titles_have_a_style() {
        let mut table = Table::new(["state", "thing"]);
        table.row([Cell::state("FAILED"), "lamp\u{1b}[2J".into()]);
        let shown = table.render(Layout::Wide);
        assert_eq!(
            shown.styled(),
            "\u{1b}[1mSTATE\u{1b}[0m   \u{1b}[1mTHING\u{1b}[0m\n\u{1b}[31mFAILED\u{1b}[0m  lamp\\u001b[2J"
        );
        assert_eq!(shown.plain(), "STATE   THING\nFAILED  lamp\\u001b[2J");
    }
}
