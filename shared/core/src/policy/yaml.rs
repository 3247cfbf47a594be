//! YAML for the operator's other files, such as the cases that a policy is tested with: read as a policy is, so
//! that what is wrong is told with its place.

use serde::de::DeserializeOwned;

pub use super::de::Spanned;
use super::diagnostic::Diagnostic;
use super::node::Node;

/// Reads the one document of a file.
///
/// # Errors
/// What is no YAML, or the first value that is none of its type, with line and column.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Diagnostic> {
    let root = Node::read(super::read::text(bytes)?)?;
    T::deserialize(&root).map_err(Diagnostic::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shelf {
        books: Vec<Spanned<String>>,
    }

    #[test]
    fn what_is_read_knows_its_place_and_what_is_wrong_is_told_with_it() {
        let shelf: Shelf = read(b"books:\n  - one\n  - two").unwrap();
        assert_eq!((shelf.books[1].value.as_str(), shelf.books[1].place.line), ("two", 3));
        let error = read::<Shelf>(b"books: []\nboks: []").unwrap_err();
        insta::assert_snapshot!(error.render("shelf.yaml", "books: []\nboks: []"), @r"
        shelf.yaml:2:1: error: unknown key 'boks'; did you mean 'books'? (allowed here: books)
            2 | boks: []
              | ^
        ");
    }
}
