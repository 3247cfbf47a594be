//! The way through a list whose end only the service knows.

use serde::Deserialize;
use serde::Serialize;

/// How far somebody is in a list that comes by pages.
///
/// Tokens that come again would never let it end, and they may come in turns. So one token is kept to compare with,
/// and replaced ever more seldom: a circle is found within three times its length, however long, without keeping all
/// tokens (Brent's algorithm).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pages {
    token: Option<String>,
    kept: Option<String>,
    turned: u32,
}

/// The list would never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service gave the same token twice, so that the list would never end; ask again")]
pub struct Endless;

impl Pages {
    /// The token of the next page; none at the beginning and after the end.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Takes the token that came with a page, and says whether there is another page.
    ///
    /// # Errors
    /// If the token came before.
    pub fn turn(&mut self, token: Option<String>) -> Result<bool, Endless> {
        self.token = token.filter(|token| !token.is_empty());
        if self.token.is_none() {
            return Ok(false);
        }
        if self.token == self.kept {
            return Err(Endless);
        }
        self.turned = self.turned.saturating_add(1);
        if self.turned.is_power_of_two() {
            self.kept.clone_from(&self.token);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_circle_is_found_and_no_other_list_is_refused(before in 0_u32..200, circle in 1_u32..200) {
            let mut pages = Pages::default();
            for page in 0..1_000 {
                proptest::prop_assert_eq!(pages.turn(Some(page.to_string())), Ok(true));
            }
            proptest::prop_assert_eq!(pages.turn(Some(String::new())), Ok(false));

            let mut pages = Pages::default();
            let token = |page: u32| if page < before { page } else { before + (page - before) % circle };
            let found = (0..10_000).find(|page| pages.turn(Some(token(*page).to_string())).is_err());
            proptest::prop_assert!(found.is_some_and(|page| page <= 3 * (before + circle)), "{found:?}");
        }
    }
}
