//! The shapes of legal names, and whether a pattern can match a name of a shape.
//!
//! A shape is a sequence of parts, so that the question is exact: pattern and shape are read side by side, as two
//! automata are, and the pattern is impossible if no path through both ends at the end of both.

/// A part of a shape.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'p> {
    /// This text.
    Text(&'p str),
    /// Characters of an alphabet: at least and at most so many. Without a most, any number.
    Run(fn(char) -> bool, usize, Option<usize>),
}

/// Where one character of a name stands.
struct Cell {
    letter: Letter,
    /// Whether it can be left out.
    optional: bool,
    /// Whether any number of characters can stand here.
    repeats: bool,
}

enum Letter {
    One(char),
    Of(fn(char) -> bool),
}

impl Cell {
    fn takes(&self, c: char) -> bool {
        match self.letter {
            Letter::One(letter) => letter == c,
            Letter::Of(alphabet) => alphabet(c),
        }
    }
}

impl Part<'_> {
    fn cells(self) -> Vec<Cell> {
        match self {
            Part::Text(text) => {
                let cell = |c| Cell { letter: Letter::One(c), optional: false, repeats: false };
                text.chars().map(cell).collect()
            }
            Part::Run(alphabet, least, most) => {
                let cell = |at| Cell {
                    letter: Letter::Of(alphabet),
                    optional: at >= least,
                    repeats: most.is_none() && at >= least,
                };
                (0..most.unwrap_or(least + 1)).map(cell).collect()
            }
        }
    }
}

/// Whether a pattern of `*` and `?` matches some text of a shape.
pub(super) fn admits(shape: &[Part<'_>], pattern: &str) -> bool {
    // Most shapes are one run, and a large policy has thousands of names: counting is enough for them.
    if let [Part::Run(alphabet, least, most)] = shape {
        let mut read = 0;
        let fits = pattern.chars().filter(|c| *c != '*').all(|c| {
            read += 1;
            c == '?' || alphabet(c)
        });
        return fits && most.is_none_or(|most| read <= most) && (read >= *least || pattern.contains('*'));
    }
    let cells: Vec<Cell> = shape.iter().flat_map(|part| part.cells()).collect();
    // Whether what was read of the pattern can have led up to each cell; the last place is the end.
    let mut reached = vec![false; cells.len() + 1];
    mark(&mut reached, 0);
    skip(&cells, &mut reached, false);
    for c in pattern.chars() {
        if c == '*' {
            skip(&cells, &mut reached, true);
            continue;
        }
        let mut next = vec![false; reached.len()];
        for (at, cell) in cells.iter().enumerate() {
            if is_marked(&reached, at) && (c == '?' || cell.takes(c)) {
                mark(&mut next, if cell.repeats { at } else { at + 1 });
            }
        }
        reached = next;
        skip(&cells, &mut reached, false);
    }
    is_marked(&reached, cells.len())
}

/// Goes past the cells that can be left out, or with `all` past any.
fn skip(cells: &[Cell], reached: &mut [bool], all: bool) {
    for (at, cell) in cells.iter().enumerate() {
        if is_marked(reached, at) && (all || cell.optional) {
            mark(reached, at + 1);
        }
    }
}

fn is_marked(places: &[bool], at: usize) -> bool {
    places.get(at).copied().unwrap_or_default()
}

fn mark(places: &mut [bool], at: usize) {
    if let Some(place) = places.get_mut(at) {
        *place = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::Place;
    use crate::policy::glob::Glob;

    fn small(c: char) -> bool {
        matches!(c, 'a' | 'b')
    }

    const SHAPE: [Part<'_>; 4] = [
        Part::Run(small, 1, Some(3)),
        Part::Text(":"),
        Part::Run(char::is_numeric, 1, None),
        Part::Text("x"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn counting_and_automata_say_the_same_of_one_run(
            pattern in "[abc*?]{0,6}", least in 0_usize..3, more in prop::option::of(0_usize..3),
        ) {
            let run = Part::Run(small, least, more.map(|more| least + more));
            prop_assert_eq!(admits(&[run], &pattern), admits(&[Part::Text(""), run], &pattern));
        }

        #[test]
        fn a_pattern_that_matches_a_name_is_possible(name in "[ab]{1,3}:[0-9]{1,4}x", pattern in "[ab1:x*?]{1,8}") {
            if Glob::new(&pattern, Place::default()).unwrap().matches(&name) {
                prop_assert!(admits(&SHAPE, &pattern));
            }
        }

        /// The alphabet is so small that all names can be listed.
        #[test]
        fn it_is_exact(pattern in "[ab:*?]{1,6}") {
            let shape = [Part::Run(small, 1, Some(3)), Part::Text(":"), Part::Run(small, 2, Some(2))];
            let words = |lengths: std::ops::RangeInclusive<u32>| {
                lengths.flat_map(|length| (0..1_u32 << length).map(move |bits| {
                    (0..length).map(|at| if bits >> at & 1 == 0 { 'a' } else { 'b' }).collect::<String>()
                }))
            };
            let glob = Glob::new(&pattern, Place::default()).unwrap();
            let some = words(1..=3).any(|head| words(2..=2).any(|tail| glob.matches(&format!("{head}:{tail}"))));
            prop_assert_eq!(admits(&shape, &pattern), some, "{}", pattern);
        }
    }
}
