//! The name that somebody meant who misspelt one.

/// The allowed name that is nearest to a misspelt one, if any is near.
pub(crate) fn nearest<'n>(name: &str, allowed: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let (distance, best) = allowed.into_iter().map(|known| (near(known), known)).min()?;
    (distance <= best.len().max(4) / 2).then_some(best)
}

/// A question after the nearest allowed name, ready to follow a message: `; did you mean 'rules'?`
pub fn did_you_mean<'n>(name: &str, allowed: impl IntoIterator<Item = &'n str>) -> String {
    nearest(name, allowed).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default()
}
