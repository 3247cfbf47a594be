//! The operator's words on suppressions, where Device Defender has them only transliterated or cut.
//!
//! A suppression outlives the policy that made it, so its words are in the ledger: an item for each text of a maker,
//! as it stands in the description. The words are written before the suppression is made, so that no suppression is there
//! without them; words without a suppression do no harm.

use std::collections::BTreeSet;
use std::collections::HashMap;

use fleetwarden_core::model::suppression::MAX_DESCRIPTION;
use fleetwarden_core::model::suppression::Written;

use crate::Error;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;

const ORIGINAL: &str = "original";

/// Texts of descriptions as the operator wrote them, by maker (`rule NAME` or `standing NAME`) and text.
#[derive(Clone, Debug, Default)]
pub struct Originals(HashMap<String, HashMap<String, String>>);

impl Originals {
    /// A text of a maker's descriptions as the operator wrote it.
    pub fn of<'t>(&'t self, maker: &str, text: &'t str) -> &'t str {
        self.0.get(maker).and_then(|texts| texts.get(text)).map_or(text, String::as_str)
    }
}

/// Writes those words on a suppression that Device Defender will not have as they were written.
///
/// # Errors
/// If the table does not answer.
pub async fn keep(ledger: &Ledger, written: &Written<'_>) -> Result<(), Error> {
    let key = keys::words(&written.maker().to_string());
    for part in written.parts().filter(|part| part.is_changed()) {
        ledger.put(Item::lasting(&key, &part.text).text(ORIGINAL, part.original)).await?;
    }
    Ok(())
}

/// Finds the originals of texts, each with its maker.
///
/// # Errors
/// If the table does not answer.
pub async fn find(ledger: &Ledger, texts: &BTreeSet<(String, String)>) -> Result<Originals, Error> {
    // Anybody can write a description: what was not made here may be longer than a key.
    let made_here = |text: &str| !text.is_empty() && text.is_ascii() && text.len() <= MAX_DESCRIPTION;
    let texts = texts.iter().filter(|(maker, text)| made_here(maker) && made_here(text));
    let keys: Vec<(String, &str)> = texts.map(|(maker, text)| (keys::words(maker), text.as_str())).collect();
    let mut found = Originals::default();
    for item in ledger.get_all(&keys).await? {
        let text = |name: &str| item.get_text(name);
        let maker = text("pk").and_then(keys::maker_of_words);
        if let (Some(maker), Some(text), Some(original)) = (maker, text("sk"), text(ORIGINAL)) {
            found.0.entry(maker.to_owned()).or_default().insert(text.to_owned(), original.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::model::suppression::Maker;
    use fleetwarden_core::model::suppression::Words;

    use super::*;
    use crate::testing::cloud::Cloud;

    #[tokio::test]
    async fn what_was_written_is_found_by_what_device_defender_has() {
        let cloud = Cloud::default();
        let ledger = Ledger::new(cloud.clients().dynamodb(), "ledger".into());
        let words =
            Words { reason: "ä".repeat(1500), owner: Some("Jürgen".into()), ticket: Some("SEC-7".into()) };
        let (rule, standing) = (Maker::Rule("lab"), Maker::Standing("lab"));
        let written = Written::new(rule, &words);
        keep(&ledger, &written).await.unwrap();
        keep(&ledger, &written).await.unwrap();
        let other = Words { owner: Some("Jurgén".into()), ..Words::default() };
        keep(&ledger, &Written::new(standing, &other)).await.unwrap();

        let described = written.described();
        let texts = [described.owner.unwrap(), described.ticket.unwrap(), described.reason];
        let wanted = |maker: Maker<'_>| texts.map(|text| (maker.to_string(), text.to_owned()));
        let wanted = wanted(rule).into_iter().chain(wanted(standing)).collect();
        let found = find(&ledger, &wanted).await.unwrap();
        assert_eq!(texts.map(|text| found.of("rule lab", text)), ["Jürgen", "SEC-7", &words.reason]);
        assert_eq!(found.of("standing lab", "Jurgen"), "Jurgén");
        assert_eq!(found.of("rule other", "Jurgen"), "Jurgen");
        // Anybody can write a description that looks like one of ours.
        let long = ("rule lab".to_owned(), "é".repeat(1000));
        let hostile = [long, ("é".repeat(1000), "x".into()), ("rule lab".into(), String::new())];
        let calls = cloud.calls("BatchGetItem").len();
        assert_eq!(find(&ledger, &hostile.into()).await.unwrap().of("rule lab", "x"), "x");
        assert_eq!(cloud.calls("BatchGetItem").len(), calls);
        let item = cloud.item("suppression-words#rule lab", "Jurgen").unwrap();
        assert!(!item.contains_key("expires_at"), "a suppression may have no end");
    }
}
